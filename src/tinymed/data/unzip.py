"""Unpacking an archive from the internet without trusting it."""

from __future__ import annotations

import shutil
import stat
import zipfile
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

from tinymed.errors import DataError
from tinymed.progress import Progress

MAX_UNPACKED_BYTES = 4 << 30
MAX_FILES = 100_000
_SYSTEM_FOLDER = "__MACOSX"
"""What macOS puts into its archives beside the content."""


def unpack(archive: Path, target: Path, *, progress: bool) -> None:
    """Unpack a zip archive to a folder, whole or not at all; nothing is done if it is there.

    A single folder of the target's own name at the top of the archive becomes the target.

    Raises:
        DataError: If the archive is damaged, too large, or holds links or files that would
            land elsewhere.
    """
    if target.is_dir():
        return
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            _extract(opened, partial, progress=progress)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise DataError(f"'{archive}' cannot be unpacked: {error}.") from error
    except OSError as error:
        raise DataError(f"Cannot unpack to '{target.parent}': {error}.") from error
    wrapped = partial / target.name
    (wrapped if list(partial.iterdir()) == [wrapped] else partial).rename(target)
    shutil.rmtree(partial, ignore_errors=True)


def _extract(archive: zipfile.ZipFile, folder: Path, *, progress: bool) -> None:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_FILES:
        raise DataError(f"'{archive.filename}' holds {len(members)} files, which is too many.")
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise DataError(f"'{archive.filename}' would unpack to more than 4 GiB.")
    shown = Progress("unpacking", total=len(members), unit="file") if progress else None
    with shown or nullcontext():
        for member in members:
            _extract_one(member, archive, folder)
            if shown is not None:
                shown.step()


def _extract_one(member: zipfile.ZipInfo, archive: zipfile.ZipFile, folder: Path) -> None:
    place = _place(member, archive)
    if place.parts[0] == _SYSTEM_FOLDER:
        return
    path = folder.joinpath(*place.parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Reading stops at the size the archive states, which was added up above.
    with archive.open(member) as source, path.open("xb") as written:
        shutil.copyfileobj(source, written)


def _place(member: zipfile.ZipInfo, archive: zipfile.ZipFile) -> PurePosixPath:
    place = PurePosixPath(member.filename)
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if is_link or place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        raise DataError(
            f"'{archive.filename}' holds '{member.filename}', which would land outside its folder."
        )
    return place
