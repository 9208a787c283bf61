"""Writing a model as a bundle, going on where an earlier try ended."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from tinymed.errors import ConfigError, ModelError
from tinymed.models.bundle.layout import (
    BLOCK_BYTES,
    Bundle,
    BundledFile,
    Layout,
    index_bytes,
    lay_out,
)
from tinymed.models.bundle.pieces import PieceWriter
from tinymed.models.catalog import find_model
from tinymed.models.fetch import find_text_detector, require_parts
from tinymed.models.installed import installed_folder, is_installed, kind_of
from tinymed.models.manifest import read_manifest
from tinymed.models.model_files import model_files
from tinymed.models.parts import TEXT_DETECTOR
from tinymed.models.transfer.byte_progress import ByteProgress

MIN_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBundle:
    """A bundle that is on the disk."""

    bundle: Bundle
    paths: tuple[Path, ...]
    """The file, or its pieces in order."""
    num_bytes: int


def write_bundle(
    model: str, out: Path, *, piece_bytes: int | None = None, progress: bool = True
) -> WrittenBundle:
    """Write everything that a model needs into one file, or into pieces of it.

    A try that was cut short is gone on with: what is written already and right is not written
    again.

    Args:
        model: A shipped or installed model's name, or a model's folder, given with a slash.
        out: The file; `OUT.partial` grows until it is whole.
        piece_bytes: Cut into pieces of this length: OUT.001, OUT.002, …; FAT32 holds files up
            to 4 GiB.
        progress: Show on standard error how far it is.

    Raises:
        ConfigError: If `out` is there already or the pieces are too small.
        ModelError: If the model is not whole here, holds what no bundle may, or does not fit on
            the disk.
    """
    if piece_bytes is not None and piece_bytes < MIN_PIECE_BYTES:
        raise ConfigError(f"Pieces of {piece_bytes} bytes are too small: 1M is the least.")
    name, folder = _find(model)
    sources = _sources(folder)
    total = sum(path.stat().st_size for path in sources.values())
    with ByteProgress(f"Reading {name}", total=total, shown=progress) as counted:
        files = tuple(_describe(path, at, counted) for path, at in sources.items())
    bundle = Bundle(name=name, kind=kind_of(folder), files=files)
    index = index_bytes(bundle)
    layout = lay_out(bundle, index)
    writer = PieceWriter(out, num_bytes=layout.num_bytes, piece_bytes=piece_bytes)
    if writer.paths[0].exists():
        raise ConfigError(f"'{writer.paths[0]}' is there already: name another file, or remove it.")
    try:
        _refuse_small_disk(out, writer, layout)
        with ByteProgress(f"Writing {out.name}", total=total, shown=progress) as counted:
            _write(bundle, layout, sources, writer, counted)
        writer.finish()
    except OSError as error:
        raise ModelError(
            f"Cannot write '{out}': {error.strerror or error}. What is written is kept: run the "
            "same command again to go on."
        ) from error
    return WrittenBundle(bundle=bundle, paths=tuple(writer.paths), num_bytes=layout.num_bytes)


def _find(model: str) -> tuple[str, Path]:
    """A model's name in the bundle, and its folder."""
    if "/" not in model and is_installed(model):
        return model, installed_folder(model)
    if "/" in model and (folder := Path(model)).is_dir():
        is_ours = kind_of(folder) == "tinymed"
        name = read_manifest(folder / "manifest.json").name if is_ours else folder.resolve().name
        return name, folder
    manifest = find_model(model)
    return manifest.name, manifest.folder


def _sources(folder: Path) -> dict[str, Path]:
    """Every file by its path in the bundle, in the bundle's order."""
    sources = {f"model/{path.name}": path for path in model_files(folder)}
    if kind_of(folder) == "tinymed":
        manifest = read_manifest(folder / "manifest.json")
        for role, path in require_parts(manifest).items():
            sources[f"parts/{manifest.part(role).sha256}/{path.name}"] = path
        if (detector := find_text_detector()) is not None:
            sources[f"parts/{TEXT_DETECTOR.sha256}/{detector.name}"] = detector
    return sources


def _describe(path: str, source: Path, counted: ByteProgress) -> BundledFile:
    whole, blocks, num_bytes = hashlib.sha256(), [], 0
    with source.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            whole.update(block)
            blocks.append(hashlib.sha256(block).hexdigest())
            num_bytes += len(block)
            counted.add(len(block))
    return BundledFile(
        path=path, num_bytes=num_bytes, sha256=whole.hexdigest(), blocks=tuple(blocks)
    )


def _write(
    bundle: Bundle,
    layout: Layout,
    sources: dict[str, Path],
    writer: PieceWriter,
    counted: ByteProgress,
) -> None:
    for offset, content in layout.fixed:
        if writer.read(offset, len(content)) != content:
            writer.write(offset, content)
    for file, start in zip(bundle.files, layout.starts, strict=True):
        with sources[file.path].open("rb") as source:
            for number, digest in enumerate(file.blocks):
                at, length = file.block_span(number)
                if not _has_hash(writer.read(start + at, length), digest):
                    source.seek(at)
                    block = source.read(length)
                    if not _has_hash(block, digest):
                        raise ModelError(f"'{source.name}' changed while it was bundled.")
                    writer.write(start + at, block)
                counted.add(length)


def _has_hash(block: bytes, digest: str) -> bool:
    return hashlib.sha256(block).hexdigest() == digest


def _refuse_small_disk(out: Path, writer: PieceWriter, layout: Layout) -> None:
    here = sum(path.stat().st_size for path in out.parent.glob(f"{out.name}*.partial"))
    free, needed = shutil.disk_usage(out.absolute().parent).free, layout.num_bytes - here
    if free < needed:
        raise ModelError(
            f"'{writer.paths[0].parent}' needs {needed / 2**20:.0f} MiB and has "
            f"{free / 2**20:.0f} MiB."
        )
