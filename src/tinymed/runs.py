"""The run folder: what a stage leaves behind so that its numbers can be believed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tinymed.errors import DataError

RUN_FILE = "run.json"
_LOCK_FILE = ".run.lock"


def sha256_of(path: Path) -> str:
    """Hash a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, on the disk before the call returns."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, on the disk before the call returns."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside a folder survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def environment(*packages: str) -> dict[str, str]:
    """Versions of Python, the machine and the packages a result depends on."""
    facts = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("tinymed", *packages):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def open_run_folder(folder: Path, identity: Mapping[str, Any]) -> None:
    """Begin a run folder, or go on with one that was begun with the same identity.

    Raises:
        DataError: If the folder holds another run (says what differs) or files of none.
    """
    path = folder / RUN_FILE
    if path.exists():
        _refuse_another_run(path, identity)
        return
    _make(folder)
    passing = (".partial", Path(_LOCK_FILE).suffix)
    strays = sorted(entry.name for entry in folder.iterdir() if entry.suffix not in passing)
    if strays:
        raise DataError(
            f"'{folder}' is not empty and holds no {RUN_FILE} (first: '{strays[0]}'). "
            "Name a new folder."
        )
    write_json(path, identity)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process; another that comes meanwhile is refused.

    The system lets go when the process ends, however it ends.

    Raises:
        DataError: If another process holds the folder, or the folder cannot be made.
    """
    _make(folder)
    lock = FileLock(folder / _LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise DataError(
            f"Another process is at work in '{folder}': wait for it, or name another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder '{folder}': {error.strerror}.") from error


def _refuse_another_run(path: Path, identity: Mapping[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read '{path}': {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"'{path}' is not a JSON object.")
    differences = [
        f"{key} is {found.get(key)!r} there and {identity.get(key)!r} now"
        for key in dict.fromkeys([*identity, *found])
        if found.get(key) != identity.get(key)
    ]
    if differences:
        raise DataError(
            f"'{path.parent}' holds another run: {'; '.join(differences)}. Name a new folder."
        )
