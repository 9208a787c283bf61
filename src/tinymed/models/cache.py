"""The one folder in which tinymed keeps what it fetched."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path, PurePosixPath

from tinymed.errors import ModelError
from tinymed.models.manifest import Part
from tinymed.runs import sha256_of
from tinymed.user_folder import user_folder

CHUNK_BYTES = 1 << 20


def cache_folder() -> Path:
    """The cache: $TINYMED_CACHE, else $XDG_CACHE_HOME/tinymed, else ~/.cache/tinymed.

    The folder need not exist yet.

    Raises:
        ModelError: If none of the three can be told.
    """
    return user_folder(
        "TINYMED_CACHE",
        xdg="XDG_CACHE_HOME",
        under_home=".cache",
        keeps="model files",
        error=ModelError,
    )


def part_path(part: Part) -> Path:
    """Where a part lies once fetched; named by its hash, so versions never mix."""
    return cache_folder() / "parts" / part.sha256 / PurePosixPath(part.member).name


def is_verified(part: Part) -> bool:
    """Whether a part is in the cache with the right content.

    A file is hashed once; a marker beside it then holds its hash, size and time of change,
    so that later calls only compare those.
    """
    path = part_path(part)
    if not path.is_file():
        return False
    if _read_marker(path) == _marker(path, part.sha256):
        return True
    if not is_intact(part):
        return False
    mark_verified(part)
    return True


def is_intact(part: Part) -> bool:
    """Whether a part's file has the right content, read anew to the last byte."""
    path = part_path(part)
    return path.is_file() and sha256_of(path) == part.sha256


def mark_verified(part: Part) -> None:
    """Note that a part's file, as it is now, has been verified."""
    path = part_path(part)
    partial = _marker_path(path).with_suffix(".partial")
    # A cache that somebody else filled may be read-only: then each start hashes again.
    with suppress(OSError):
        partial.write_text(json.dumps(_marker(path, part.sha256)), encoding="utf-8")
        partial.replace(_marker_path(path))


def forget_verified(part: Part) -> None:
    """Drop the note, so that the next look hashes the file again."""
    with suppress(OSError):
        _marker_path(part_path(part)).unlink()


def _marker_path(path: Path) -> Path:
    return path.with_name(path.name + ".verified")


def _marker(path: Path, sha256: str) -> dict[str, str | int]:
    status = path.stat()
    return {"sha256": sha256, "num_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _read_marker(path: Path) -> object:
    try:
        return json.loads(_marker_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
