"""Opening a bundle: found by what is in it, whatever it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models.bundle.layout import (
    INDEX,
    MAX_INDEX_BYTES,
    TAR_BYTES,
    Bundle,
    Layout,
    lay_out,
    parse_index,
    tar_header,
)
from tinymed.models.bundle.pieces import PieceReader, pieces_from

_FORMAT_BEGINS = b'{\n "format": "tinymed-bundle-'
_SIZE_FIELD = slice(124, 136)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBundle:
    """A bundle whose index has been read and is whole; its files have not been."""

    bundle: Bundle
    index: bytes
    layout: Layout
    reader: PieceReader


def is_bundle(path: Path) -> bool:
    """Whether a file begins as a bundle, or as the first piece of one."""
    try:
        with path.open("rb") as file:
            begin = file.read(TAR_BYTES + len(_FORMAT_BEGINS))
    except OSError:
        return False
    return begin.startswith(INDEX.encode() + b"\0") and begin[TAR_BYTES:] == _FORMAT_BEGINS


def find_bundle(source: Path) -> Path | None:
    """The bundle, or its first piece, that a file or a folder is or holds; None without one.

    Raises:
        ModelError: If a folder holds several.
    """
    if not source.is_dir():
        return source if is_bundle(source) else None
    found = [path for path in sorted(source.iterdir()) if path.is_file() and is_bundle(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelError(f"'{source}' holds several bundles ({names}): name one of them.")
    return found[0] if found else None


def open_bundle(path: Path) -> OpenBundle:
    """Read a bundle's index and check it.

    Args:
        path: The bundle, or its first piece; the others lie beside it.

    Raises:
        ModelError: If it cannot be read, is no bundle, or its index is damaged.
    """
    whence = f"the bundle '{path}'"
    if not path.is_file() or not is_bundle(path):
        raise ModelError(
            f"'{path}' is not a bundle, nor the first piece of one. A bundle is written by: "
            "tinymed models bundle"
        )
    reader = PieceReader(pieces_from(path))
    header = reader.read(0, TAR_BYTES)
    size = header[_SIZE_FIELD].rstrip(b"\0 ")
    num_bytes = int(size, 8) if size.isdigit() and set(size) <= set(b"01234567") else -1
    if not 0 < num_bytes <= MAX_INDEX_BYTES or header != tar_header(INDEX, num_bytes):
        raise ModelError(f"The begin of {whence} is damaged: copy it again.")
    index = reader.read(TAR_BYTES, num_bytes)
    bundle = parse_index(index, whence)
    layout = lay_out(bundle, index)
    offset, begin = layout.fixed[0]
    if reader.read(offset, len(begin)) != begin:
        raise ModelError(f"The index of {whence} is damaged (SHA-256 differs): copy it again.")
    return OpenBundle(bundle=bundle, index=index, layout=layout, reader=reader)
