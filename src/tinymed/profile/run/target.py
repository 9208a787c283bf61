"""What an address means for measuring: a build or a model that is ready to be opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinymed.engines.building import ensure_build, make_build
from tinymed.engines.choose import PUBLISHED_SCHEME, has_files
from tinymed.engines.default_scheme import default_scheme
from tinymed.errors import ModelError
from tinymed.models.build import Build, is_build, read_build
from tinymed.models.cache import part_path
from tinymed.models.catalog import Checkpoint, Source, find, source_digest, split_address
from tinymed.models.fetch import require_parts
from tinymed.models.llava_checkpoint import is_checkpoint
from tinymed.models.parity_mark import read_parity
from tinymed.models.schemes import PARTS, Scheme, find_scheme
from tinymed.models.shape.known import find_shape, known_names
from tinymed.models.shape.random_checkpoint import BYTES_PER_WEIGHT, make_random_checkpoint
from tinymed.profile.run.opening import check_device, runs_in_transformers_only
from tinymed.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A point that can be measured."""

    model: str
    scheme: Scheme
    address: str
    """Of the model: a name or a folder, without a scheme."""
    build: Path | None
    """Its folder; None where the model runs as it is."""
    weights_sha256: str
    disk_bytes: int
    stored_bytes: int | None
    """Of the parts in the build's files, scales included; None where there is no build."""
    precisions: Mapping[str, str]
    """Of each part, as the build really has it; empty where there is no build."""
    parity: str
    """As `Point.parity` has it."""
    is_random: bool = False

    @property
    def name(self) -> str:
        """What a person calls it: "MODEL:SCHEME"."""
        return f"{self.model}:{self.scheme.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An address as far as it is understood before anything is made."""

    base: str
    """Without the scheme."""
    scheme: Scheme | None
    """None for the model's default."""
    found: Source | Build | None
    """None where a checkpoint of random weights is to be made."""


def look_up(address: str, *, device: str, random: bool) -> Wanted:
    """Understand an address; nothing is made yet.

    Args:
        address: As in `catalog`; of random weights the name of a known shape.
        device: What torch is to compute on.
        random: Whether random weights of a known shape are meant.

    Raises:
        ConfigError: If there is no such scheme, or its engine cannot use the device.
        ModelError: If the model is unknown, incomplete or damaged.
    """
    base, scheme = split_address(address)
    if scheme is not None:
        check_device(scheme.engine, device)
    if not random:
        return Wanted(base=base, scheme=scheme, found=_find_real(base, scheme))
    if base not in known_names():
        raise ModelError(
            f"No shape '{base}' is known to make random weights of. Known: "
            f"{', '.join(known_names())}."
        )
    return Wanted(base=base, scheme=scheme, found=None)


def make_ready(wanted: Wanted, *, device: str, random_weights: Path | None) -> Target:
    """Make what is not there yet, checkpoint and build, and say what there is to measure.

    Args:
        wanted: What `look_up` gave.
        device: What torch is to compute on.
        random_weights: Where checkpoints of random weights and their builds are kept.

    Raises:
        ConfigError: If the model's default engine cannot use the device.
        ModelError: If something cannot be made, in one sentence.
        MissingExtraError: If the scheme's packages are not installed.
    """
    if isinstance(wanted.found, Build):
        return _of_build(wanted.found, wanted.base, is_random=False)
    source = wanted.found
    if source is None:
        assert random_weights is not None
        source = _random_checkpoint(wanted.base, random_weights)
    is_whole = runs_in_transformers_only(source)
    scheme = wanted.scheme or (
        find_scheme(PUBLISHED_SCHEME) if is_whole else default_scheme(source)
    )
    check_device(scheme.engine, device)
    if is_whole or not has_files(scheme):
        return _without_build(source, scheme, is_random=random_weights is not None)
    if random_weights is None:
        return _of_build(read_build(ensure_build(source, scheme)), wanted.base, is_random=False)
    folder = random_weights / f"{wanted.base}-{scheme.name}"
    if not is_build(folder) or read_build(folder).source_digest != source_digest(source):
        make_build(source, scheme, folder)
    return _of_build(read_build(folder), source.address, is_random=True)


def _find_real(base: str, scheme: Scheme | None) -> Source | Build:
    try:
        found = find(base)
    except ModelError as error:
        if base in known_names():
            raise ModelError(_how_to_measure(base)) from error
        raise
    if isinstance(found, Build):
        if scheme is not None and scheme.name != found.scheme:
            raise ModelError(
                f"The build '{base}' is '{found.scheme}', not '{scheme.name}'. Name the model "
                "that it was made from."
            )
    elif not isinstance(found, Checkpoint):
        require_parts(found)
    elif scheme is not None and scheme.engine != "torch" and runs_in_transformers_only(found):
        raise ModelError(
            f"'{base}' runs in transformers only: name it '{base}:{PUBLISHED_SCHEME}'."
        )
    return found


def _how_to_measure(name: str) -> str:
    """What to do about a model that is known and not here."""
    gigabytes = BYTES_PER_WEIGHT * find_shape(name).num_weights() / 1e9
    return (
        f"'{name}' is not on this computer. Bring it with 'tinymed models pull', or measure its "
        f"shape with --random-weights FOLDER, which writes {gigabytes:.1f} GB there and the build."
    )


def _random_checkpoint(name: str, folder: Path) -> Checkpoint:
    """A known shape's checkpoint, made where it is not there yet."""
    path = folder.resolve() / name  # a bare name would be looked up as a model's
    if not is_checkpoint(path):
        num_bytes = BYTES_PER_WEIGHT * find_shape(name).num_weights()
        # At least one, for a bar to have an end.
        millions = max(1, round(num_bytes / 1e6))
        with Progress(f"Random weights of {name}", total=millions, unit="million byte") as progress:
            make_random_checkpoint(
                name, path, on_progress=lambda done, all_: progress.reach(millions * done // all_)
            )
    return Checkpoint(name=name, folder=path, address=str(path))


def _of_build(build: Build, address: str, *, is_random: bool) -> Target:
    report = read_parity(build)
    parity = "unseen"
    if report is not None:
        parity = "passed" if report.get("passed") is True else "failed"
    return Target(
        model=build.model,
        scheme=find_scheme(build.scheme),
        address=address,
        build=build.folder,
        weights_sha256=build.digest,
        disk_bytes=build.num_bytes,
        stored_bytes=sum(part.num_bytes for part in build.parts),
        precisions={part: build.precision(part) for part in PARTS},
        parity=parity,
        is_random=is_random,
    )


def _without_build(source: Source, scheme: Scheme, *, is_random: bool) -> Target:
    if isinstance(source, Checkpoint):
        paths = [path for path in source.folder.iterdir() if path.is_file()]
    else:
        paths = [part_path(part) for part in source.parts]
        paths.append(source.folder / source.trained_file)
    return Target(
        model=source.name,
        scheme=scheme,
        address=source.address,
        build=None,
        weights_sha256=source_digest(source),
        disk_bytes=sum(path.stat().st_size for path in paths),
        stored_bytes=None,
        precisions={},
        parity="none",
        is_random=is_random,
    )
