"""Installing a model from a bundle, without a network and block by block."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tinymed.errors import ConfigError, ModelError
from tinymed.models.bundle.layout import Bundle, BundledFile
from tinymed.models.bundle.read import OpenBundle, open_bundle
from tinymed.models.cache import is_verified, mark_verified, part_path
from tinymed.models.catalog import SHIPPED, find_model
from tinymed.models.headers.admit import admit, is_admitted_name, is_pickle_name
from tinymed.models.installed import (
    check_name,
    clear_work_folder,
    install_folder,
    installed_folder,
    models_folder,
    work_folder,
)
from tinymed.models.manifest import Manifest, read_manifest
from tinymed.models.parts import LANGUAGE_MODELS, TEXT_DETECTOR, VISION_ENCODERS
from tinymed.models.transfer.byte_progress import ByteProgress
from tinymed.runs import sha256_of, sync_folder

_SHOWN_BLOCKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledBundle:
    """A model that a bundle brought."""

    name: str
    kind: str
    folder: Path


def install_bundle(
    source: Path,
    *,
    name: str | None = None,
    repair_from: Sequence[Path] = (),
    progress: bool = True,
) -> InstalledBundle:
    """Install the model of a bundle; no network is used.

    Every block is compared with its hash, and headers are checked, before the model gets its
    name. Blocks that are here and right, from an earlier try, are not read from the bundle again.

    Args:
        source: The bundle, or its first piece; the others lie beside it.
        name: What to call the model; None takes the bundle's name.
        repair_from: Other copies of the same bundle, for blocks that are broken in the first.
        progress: Show on standard error how far it is.

    Raises:
        ConfigError: If `repair_from` names another bundle.
        ModelError: If a block is broken in every copy (the others are kept for the next try), a
            file is none that a model may have, or the name is taken.
    """
    opened = [open_bundle(path) for path in (source, *repair_from)]
    bundle = opened[0].bundle
    for path, other in zip(repair_from, opened[1:], strict=True):
        if other.index != opened[0].index:
            raise ConfigError(f"'{path}' is a bundle of something else than '{source}'.")
    _refuse_names(bundle, source)
    is_shipped = name is None and bundle.name in SHIPPED
    name = bundle.name if is_shipped else check_name(name or bundle.name)
    if not is_shipped and (here := installed_folder(name)).is_dir():
        return _already_here(bundle, name, here)
    with work_folder(name, "import") as work:
        _refuse_small_disk(bundle, work)
        broken = _unpack(opened, work, progress=progress)
        if broken:
            raise ModelError(_broken(broken, bundle, opened[0]))
        try:
            folder = _install(bundle, work, name, is_shipped=is_shipped)
        finally:
            clear_work_folder(work)
    return InstalledBundle(name=name, kind=bundle.kind, folder=folder)


def _refuse_names(bundle: Bundle, source: Path) -> None:
    """Refuse by name what no model may have, before anything is written."""
    names = {PurePosixPath(file.path).name for file in bundle.files}
    for file in bundle.files:
        name = PurePosixPath(file.path).name
        if file.sha256 in _table_parts():
            continue
        if is_pickle_name(name, names) or not is_admitted_name(name):
            raise ModelError(
                f"The bundle '{source}' holds '{name}', which is pickle or no file of a model: "
                "bundle a model of safetensors, GGUF, JSON and text."
            )


def _table_parts() -> set[str]:
    """Hashes of the files that tinymed itself knows how to read, whatever their format."""
    encoders = {encoder.part.sha256 for encoder in VISION_ENCODERS.values()}
    languages = {part.sha256 for part in LANGUAGE_MODELS.values()}
    return encoders | languages | {TEXT_DETECTOR.sha256}


def _already_here(bundle: Bundle, name: str, folder: Path) -> InstalledBundle:
    wanted = {file.path: file.sha256 for file in bundle.files if file.path.startswith("model/")}
    here = {f"model/{path.name}": sha256_of(path) for path in folder.iterdir() if path.is_file()}
    if here != wanted:
        raise ModelError(
            f"Another model '{name}' is installed already. Give another name with --name, or run: "
            f"tinymed models rm {name}"
        )
    return InstalledBundle(name=name, kind=bundle.kind, folder=folder)


def _unpack(
    opened: Sequence[OpenBundle], work: Path, *, progress: bool
) -> list[tuple[BundledFile, int, int]]:
    """Write every file that can be had; give back file, number and offset of broken blocks."""
    broken = []
    bundle, layout = opened[0].bundle, opened[0].layout
    with ByteProgress(bundle.name, total=bundle.num_bytes, shown=progress) as counted:
        for file, start in zip(bundle.files, layout.starts, strict=True):
            target = work / file.path
            if target.exists():  # it has its name only once it was whole and on the disk
                counted.add(file.num_bytes)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            missing = _unpack_file(opened, file, start, target, counted)
            broken += [(file, number, start + file.block_span(number)[0]) for number in missing]
    return broken


def _unpack_file(
    opened: Sequence[OpenBundle], file: BundledFile, start: int, target: Path, counted: ByteProgress
) -> list[int]:
    """Write one file and give it its name, unless a block is broken; give those back."""
    partial = target.with_name(target.name + ".partial")
    partial.touch()
    missing = []
    with partial.open("r+b") as out:
        for number, digest in enumerate(file.blocks):
            at, length = file.block_span(number)
            out.seek(at)
            if hashlib.sha256(out.read(length)).hexdigest() != digest:
                copies = (one.reader.read(start + at, length) for one in opened)
                block = next((one for one in copies if _has_hash(one, digest)), None)
                if block is None:
                    missing.append(number)
                    continue
                out.seek(at)
                out.write(block)
            counted.add(length)
        out.truncate(file.num_bytes)
        out.flush()
        os.fsync(out.fileno())
    if not missing:
        partial.replace(target)
        sync_folder(target.parent)
    return missing


def _has_hash(block: bytes, digest: str) -> bool:
    return hashlib.sha256(block).hexdigest() == digest


def _broken(broken: list[tuple[BundledFile, int, int]], bundle: Bundle, opened: OpenBundle) -> str:
    shown = "; ".join(
        f"block {number} of '{file.path}' ({opened.reader.where(offset)})"
        for file, number, offset in broken[:_SHOWN_BLOCKS]
    )
    num_blocks = sum(len(file.blocks) for file in bundle.files)
    return (
        f"{len(broken)} of {num_blocks} blocks of the bundle are missing or damaged: {shown}. The "
        "others are kept: copy the bundle again, or name a good copy with --repair-from, and run "
        "the same command."
    )


def _install(bundle: Bundle, work: Path, name: str, *, is_shipped: bool) -> Path:
    for file in bundle.files:
        path = work / file.path
        if sha256_of(path) != file.sha256:
            raise ModelError(f"'{file.path}' of the bundle '{name}' is not the file it names.")
        if file.sha256 not in _table_parts():
            admit(path)
    model = work / "model"
    if not (model / "manifest.json").is_file():
        return install_folder(model, name)
    manifest = read_manifest(model / "manifest.json")
    _refuse_other_weights(manifest, bundle)
    if is_shipped and not _is_shipped(manifest):
        raise ModelError(
            f"This bundle's '{name}' is another than the one that tinymed ships: give it a name of "
            "its own with --name."
        )
    _install_parts(manifest, work)
    return find_model(name).folder if is_shipped else install_folder(model, name)


def _refuse_other_weights(manifest: Manifest, bundle: Bundle) -> None:
    hashes = {file.path: file.sha256 for file in bundle.files}
    if hashes.get(f"model/{manifest.trained_file}") != manifest.trained_sha256:
        raise ModelError(
            f"The bundle's '{manifest.trained_file}' is not the file that its manifest names."
        )


def _is_shipped(manifest: Manifest) -> bool:
    shipped = find_model(manifest.name)
    return (manifest.trained_sha256, manifest.parts) == (shipped.trained_sha256, shipped.parts)


def _install_parts(manifest: Manifest, work: Path) -> None:
    for part in (*manifest.parts, TEXT_DETECTOR):
        if is_verified(part):
            continue
        target = part_path(part)
        bundled = work / "parts" / part.sha256 / target.name
        if not bundled.is_file():
            if part is TEXT_DETECTOR:
                continue  # a gate looks with it, no model needs it
            raise ModelError(f"The bundle lacks the {part.role.replace('_', ' ')} of its model.")
        target.parent.mkdir(parents=True, exist_ok=True)
        bundled.replace(target)
        sync_folder(target.parent)
        mark_verified(part)


def _refuse_small_disk(bundle: Bundle, work: Path) -> None:
    here = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    needed, free = bundle.num_bytes - here, shutil.disk_usage(work).free
    if free < needed:
        raise ModelError(
            f"'{models_folder()}' needs {needed / 2**20:.0f} MiB and has {free / 2**20:.0f} MiB. "
            "Free some, or set TINYMED_CACHE to a folder with room."
        )
