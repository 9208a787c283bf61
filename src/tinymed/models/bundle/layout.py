"""What a bundle looks like: an uncompressed tar, in which every byte has one right value.

    bundle.json     what follows, in this order: path, size, SHA-256, and SHA-256 of each 4 MiB
    bundle.sha256   SHA-256 of bundle.json, as `sha256sum` writes it
    model/NAME      the model's folder
    parts/HASH/NAME a part that a model of tinymed needs, under its SHA-256

Owners, times and modes are fixed, so the same model gives the same bytes everywhere, and where
each byte stands follows from bundle.json alone. `tar -xf` unpacks it. In pieces it is cut at
equal lengths: FILE.001, FILE.002, …; `cat` joins them.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from tinymed.errors import ModelError

FORMAT = "tinymed-bundle-1"
BLOCK_BYTES = 4 << 20
TAR_BYTES = 512
INDEX = "bundle.json"
INDEX_HASH = "bundle.sha256"
MAX_INDEX_BYTES = 64 << 20
MAX_FILES = 10_000
_SAFE_PATH = re.compile(r"(?:model|parts/[0-9a-f]{64})/[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledFile:
    """One file in a bundle."""

    path: str
    num_bytes: int
    sha256: str
    blocks: tuple[str, ...]
    """SHA-256 of each 4 MiB; the last block may be shorter."""

    def block_span(self, number: int) -> tuple[int, int]:
        """First byte of a block within the file, and its length."""
        start = number * BLOCK_BYTES
        return start, min(BLOCK_BYTES, self.num_bytes - start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle holds."""

    name: str
    kind: str
    """As `tinymed.models.installed.kind_of` says it."""
    files: tuple[BundledFile, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.num_bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything stands in a bundle."""

    fixed: tuple[tuple[int, bytes], ...]
    """What is known without the files: offset and content of index, headers and padding."""
    starts: tuple[int, ...]
    """Offset of each file's first byte, in the bundle's order."""
    num_bytes: int


def index_bytes(bundle: Bundle) -> bytes:
    """A bundle's index as it is written."""
    row = {"format": FORMAT, "block_bytes": BLOCK_BYTES, **asdict(bundle)}
    return (json.dumps(row, indent=1, ensure_ascii=True) + "\n").encode()


def lay_out(bundle: Bundle, index: bytes) -> Layout:
    """Say where each byte of a bundle with this index stands."""
    digest = f"{hashlib.sha256(index).hexdigest()}  {INDEX}\n".encode()
    begin = b"".join(
        tar_header(name, len(content)) + content + _padding(len(content))
        for name, content in ((INDEX, index), (INDEX_HASH, digest))
    )
    fixed, starts, position = [(0, begin)], [], len(begin)
    for file in bundle.files:
        header = tar_header(file.path, file.num_bytes)
        start = position + len(header)
        padding = _padding(file.num_bytes)
        fixed += [(position, header), (start + file.num_bytes, padding)]
        starts.append(start)
        position = start + file.num_bytes + len(padding)
    fixed.append((position, bytes(2 * TAR_BYTES)))
    return Layout(fixed=tuple(fixed), starts=tuple(starts), num_bytes=position + 2 * TAR_BYTES)


def tar_header(path: str, num_bytes: int) -> bytes:
    """What stands before a file in the tar."""
    entry = tarfile.TarInfo(path)
    entry.size = num_bytes
    return entry.tobuf(tarfile.GNU_FORMAT)


def _padding(num_bytes: int) -> bytes:
    return bytes(-num_bytes % TAR_BYTES)


def parse_index(index: bytes, whence: str) -> Bundle:
    """Read a bundle's index, and refuse what no bundle of ours says.

    Raises:
        ModelError: If it is damaged, of another format, or names a file that would not stay in
            its folder.
    """
    try:
        row = json.loads(index)
        if row["format"] != FORMAT:
            raise ModelError(
                f"{whence} has the format {row['format']!r}, this version reads {FORMAT!r}: "
                "install a newer tinymed."
            )
        bundle = Bundle(
            name=row["name"],
            kind=row["kind"],
            files=tuple(_file(file, whence) for file in row["files"]),
        )
        is_sound = row["block_bytes"] == BLOCK_BYTES and index_bytes(bundle) == index
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"The index of {whence} is damaged: {error!r}.") from error
    if not is_sound:
        raise ModelError(f"The index of {whence} is not as tinymed writes it.")
    names = {file.path.lower() for file in bundle.files}
    if len(names) != len(bundle.files) or len(names) > MAX_FILES:
        raise ModelError(f"The index of {whence} names a file twice, or too many.")
    return bundle


def _file(row: dict[str, Any], whence: str) -> BundledFile:
    file = BundledFile(
        path=row["path"],
        num_bytes=row["num_bytes"],
        sha256=row["sha256"],
        blocks=tuple(row["blocks"]),
    )
    if not isinstance(file.path, str) or not _SAFE_PATH.fullmatch(file.path):
        _refuse(whence, f"the path {str(file.path)[:80]!r} is not one of a bundle")
    if type(file.num_bytes) is not int or file.num_bytes < 0:
        _refuse(whence, f"'{file.path}' has the size {str(file.num_bytes)[:40]}")
    if len(file.blocks) != -(-file.num_bytes // BLOCK_BYTES):
        _refuse(whence, f"'{file.path}' has {len(file.blocks)} block hashes for its size")
    for digest in (file.sha256, *file.blocks):
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            _refuse(whence, f"'{file.path}' has a hash that is none")
    return file


def _refuse(whence: str, what: str) -> NoReturn:
    raise ModelError(f"The index of {whence} cannot be followed: {what}.")
