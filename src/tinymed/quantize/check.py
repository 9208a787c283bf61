"""Whether a model is whole, loads alike twice, answers as its original does, and looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinymed.engines.building import ensure_build
from tinymed.engines.choose import has_files, open_as_it_is, open_build
from tinymed.engines.default_scheme import default_scheme
from tinymed.engines.protocol import Engine
from tinymed.errors import ModelError
from tinymed.models.build import Build, check_build
from tinymed.models.catalog import Checkpoint, Source, find, source_digest, split_address
from tinymed.models.fetch import require_parts
from tinymed.models.parity_mark import read_parity
from tinymed.quantize.compare_build import GateSettings, compare_build, samples_of
from tinymed.quantize.fixed_set import fixed_cases
from tinymed.quantize.image_matters import BlankedAnswers, image_matters
from tinymed.quantize.observe import Observed, observe
from tinymed.quantize.report import parity_text

_EVERY_THIRD = 3
"""The plain variant of each drawing: 8 pictures, 80 questions."""
_TWICE = 2
"""Pictures that are asked about in both loads of a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found out about a model in one scheme."""

    address: str
    build: Build | None
    """Every byte of it was hashed; None for a scheme without files."""
    loads_alike: bool
    """Whether two loads gave the same answers and the same first-token logits, to the bit."""
    parity: dict[str, Any] | None
    """The gate's report; None where there is nothing to compare with."""
    parity_note: str
    """Why the report is not of today, or why there is none; "" if it is."""
    blanked: BlankedAnswers

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the model should not be used, each as a clause; empty if it may."""
        found = [] if self.loads_alike else ["two loads of it answer differently"]
        if self.parity is not None:
            found += self.parity["reasons"]
        elif self.build is not None:
            found.append(f"it was never compared with its original ({self.parity_note})")
        return tuple(found)


def check_model(address: str, settings: GateSettings | None = None) -> Checked:
    """Check a model in one scheme: bytes, two loads, parity, and whether the image matters.

    The verdict on a build is kept beside it, so `ask` uses or refuses it from then on.

    Args:
        address: A model's name or folder, with ":SCHEME" or without; or a build's folder.
            The build of a name is made first where it is not there yet.
        settings: How it is compared.

    Raises:
        ModelError: If the model is unknown, incomplete or damaged.
        ConfigError: If there is no such scheme, or no reference to compare with.
    """
    settings = settings or GateSettings()
    base, named = split_address(address)
    found = find(base)
    if isinstance(found, Build):
        return _check_build(address, found, _origin(found), settings)
    if not isinstance(found, Checkpoint):
        require_parts(found)
    scheme = named or default_scheme(found)
    if has_files(scheme):
        return _check_build(address, check_build(ensure_build(found, scheme)), found, settings)

    def load() -> Engine:
        return open_as_it_is(found, scheme, threads=_threads(settings))

    alike, blanked = _load_twice(load)
    return Checked(
        address=address,
        build=None,
        loads_alike=alike,
        parity=None,
        parity_note="it is the model as it is",
        blanked=blanked,
    )


def _check_build(
    address: str, build: Build, origin: Source | None, settings: GateSettings
) -> Checked:
    build = check_build(build.folder)
    if origin is None:
        parity, note = read_parity(build), f"the model '{build.model}' itself is not here"
    else:
        parity, note = compare_build(build, origin, settings, samples_of(settings)), ""
    alike, blanked = _load_twice(lambda: open_build(build, threads=_threads(settings)))
    return Checked(
        address=address,
        build=build,
        loads_alike=alike,
        parity=parity,
        parity_note=note,
        blanked=blanked,
    )


def _threads(settings: GateSettings) -> int | None:
    return settings.threads[0] if settings.threads else None


def _origin(build: Build) -> Source | None:
    """The model that a build's folder was made from, if it is on this computer."""
    try:
        found = find(build.model)
    except ModelError:
        return None
    if isinstance(found, Build) or source_digest(found) != build.source_digest:
        return None
    return found


def _load_twice(load: Callable[[], Engine]) -> tuple[bool, BlankedAnswers]:
    """Whether two loads answer alike, and what the second answers without the image."""
    cases = fixed_cases()
    first = observe(load(), cases[:_TWICE], label="loaded once")
    engine = load()
    second = observe(engine, cases[:_TWICE], label="loaded again")
    return _are_alike(first, second), image_matters(engine, cases[::_EVERY_THIRD])


def _are_alike(first: Observed, second: Observed) -> bool:
    pairs = [
        (one, two)
        for here, there in zip(first.cases, second.cases, strict=True)
        for one, two in zip(here.answers, there.answers, strict=True)
    ]
    return all(
        one.text == two.text and np.array_equal(one.first_token_logits, two.first_token_logits)
        for one, two in pairs
    )


def checked_row(checked: Checked) -> dict[str, Any]:
    """As plain values, for `--json`."""
    build = checked.build
    return {
        "address": checked.address,
        "passed": not checked.problems,
        "problems": list(checked.problems),
        "scheme": None if build is None else build.scheme,
        "build_digest": None if build is None else build.digest,
        "loads_alike": checked.loads_alike,
        "parity": checked.parity,
        "parity_note": checked.parity_note,
        "blanked": {**asdict(checked.blanked), "image_matters": checked.blanked.image_matters},
    }


def checked_text(checked: Checked) -> str:
    """As a person reads it."""
    lines = []
    if checked.build is not None:
        lines.append(f"every byte of {checked.build.folder} is as its manifest says")
    lines.append(
        "two loads give the same answers, to the bit"
        if checked.loads_alike
        else "two loads DIFFER in their answers"
    )
    blanked = checked.blanked
    changed = blanked.num_questions - blanked.num_same
    lines.append(
        f"{changed} of {blanked.num_questions} answers change when the image is black"
        + ("" if blanked.image_matters else ": this model does NOT LOOK at the image")
    )
    if checked.parity is not None:
        lines += ["", parity_text(checked.parity)]
    if checked.parity_note:
        lines.append(f"not compared now: {checked.parity_note}")
    return "\n".join(lines)
