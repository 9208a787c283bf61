"""From a model to a build that has been compared with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinymed.engines.building import build_folder, make_build
from tinymed.engines.choose import has_files
from tinymed.errors import ConfigError, ModelError
from tinymed.models.build import Build, check_build, is_build, read_build
from tinymed.models.catalog import Checkpoint, Source, find_source, split_address
from tinymed.models.fetch import require_parts
from tinymed.models.schemes import PARTS, Scheme
from tinymed.quantize.compare_build import GateSettings, compare_build, samples_of


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeSettings:
    """What to build, and how to compare it."""

    scheme: Scheme
    precisions: Mapping[str, str] = field(default_factory=dict)
    """Of single parts, where they are to differ from the scheme's."""
    out: Path | None = None
    """The build's folder; None for its place in the cache, where NAME:SCHEME finds it."""
    gate: GateSettings = field(default_factory=GateSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """A build and the gate's report on it."""

    build: Build
    report: dict[str, Any]


def quantize(address: str, settings: QuantizeSettings) -> Quantized:
    """Make a build, compare it with its model, and mark it with the verdict.

    A whole build in the cache is not made anew; one in a folder that is named is replaced.
    Whatever moment a kill comes at, what is left is no build or one without a verdict, which
    is refused too.

    Args:
        address: A model's name or folder, without a scheme.
        settings: What to build and how to compare it.

    Raises:
        ConfigError: If the settings do not fit each other or the scheme.
        ModelError: If the model is missing or damaged, or the folder holds something else.
        DataError: If the samples cannot be used.
    """
    source = _source(address, settings)
    samples = samples_of(settings.gate)
    folder = settings.out or build_folder(source, settings.scheme)
    if not _is_there(folder, settings):
        sys.stderr.write(f"Building {source.name} as {settings.scheme.name} …\n")
        sys.stderr.flush()
        make_build(source, settings.scheme, folder, precisions=settings.precisions)
    build = read_build(folder)
    return Quantized(build=build, report=compare_build(build, source, settings.gate, samples))


def _source(address: str, settings: QuantizeSettings) -> Source:
    """What is built from, once everything that can be refused has been."""
    base, named = split_address(address)
    scheme = settings.scheme
    if named is not None:
        raise ConfigError(f"Name the model without a scheme: '{base}', with --scheme {named.name}.")
    if not has_files(scheme):
        raise ConfigError(
            f"'{scheme.name}' is the model as it is: there is nothing to build. Choose another."
        )
    unknown = sorted(set(settings.precisions) - set(PARTS))
    if unknown:
        raise ConfigError(f"No part '{unknown[0]}'. Known: {', '.join(PARTS)}.")
    if settings.precisions and settings.out is None:
        raise ConfigError(
            f"A build whose parts are not all as '{scheme.name}' has them needs a folder of its "
            "own: name it with --out."
        )
    source = find_source(base)
    if not isinstance(source, Checkpoint):
        require_parts(source)
    return source


def _is_there(folder: Path, settings: QuantizeSettings) -> bool:
    """Whether the cache holds the very build already; its place there says what it is.

    Raises:
        ModelError: If a folder that was named holds anything but a build.
    """
    if not is_build(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ModelError(f"'{folder}' is there and holds no build. Name another folder.")
        return False
    if settings.out is not None:
        return False
    try:
        check_build(folder)
    except ModelError:
        return False
    return True
