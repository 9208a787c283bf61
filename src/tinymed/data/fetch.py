"""Fetching a data set's published files over an unreliable connection."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tinymed.data.publishers import PublishedFile, all_files
from tinymed.data.sources import Source
from tinymed.data.unzip import unpack
from tinymed.errors import ConfigError, DataError
from tinymed.models.transfer.download import Download, download
from tinymed.models.transfer.urls import without_password
from tinymed.runs import sha256_of, write_json

if sys.platform != "win32":
    import fcntl

FETCHED_FILE = "fetched.json"
"""Written last: what came from where, with sizes and hashes."""

_LARGE_BYTES = 4 << 20
"""From this size a file has a bar of its own."""
_SECONDS_BETWEEN_LINES = 10.0


def fetch_set(source: Source, folder: Path, *, progress: bool = True) -> dict[str, Any]:
    """Fetch all published files of a data set into a folder, and unpack its archives.

    A file that is here with the right content is not fetched again, and one that came in part
    goes on where it ended, whatever stopped the earlier try. When everything is here the
    network is not used.

    Args:
        source: Which data set.
        folder: Where its files go; made if need be.
        progress: Say on standard error what is fetched, how much is left and how long it takes.

    Returns:
        What `fetched.json` says: licence, source, and address, size and SHA-256 of each file.

    Raises:
        ConfigError: If the data set is nowhere to be fetched.
        DataError: If a publisher cannot be asked, the disk is too small, another process
            fetches into the folder, or an archive is not to be trusted.
        ModelError: If a download fails for good or is not the file that was published.
    """
    if not source.published:
        raise ConfigError(
            f"'{source.name}' stands for files of your own: there is nothing to fetch."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot write to '{folder}': {error.strerror or error}.") from error
    with _alone_in(folder):
        fetched = _already_fetched(source, folder)
        if fetched is None:
            files = all_files(source.published)
            _refuse_small_disk(files, folder)
            _fetch_files(files, folder, source.name, progress=progress)
            fetched = _account(source, files)
        for path in fetched["files"]:
            if path.endswith(".zip"):
                unpack(folder / path, (folder / path).with_suffix(""), progress=progress)
        write_json(folder / FETCHED_FILE, fetched)
    return fetched


def _account(source: Source, files: Sequence[PublishedFile]) -> dict[str, Any]:
    return {
        "name": source.name,
        "licence": source.licence,
        "source": source.source,
        "files": {
            str(file.path): {
                "url": without_password(file.url),
                "num_bytes": file.num_bytes,
                "sha256": file.sha256,
            }
            for file in files
        },
    }


def _already_fetched(source: Source, folder: Path) -> dict[str, Any] | None:
    """What an earlier fetch wrote, where every file of it is here and whole."""
    try:
        fetched: dict[str, Any] = json.loads((folder / FETCHED_FILE).read_text(encoding="utf-8"))
        whole = fetched["name"] == source.name and all(
            _is_whole(folder / path, said["num_bytes"], said["sha256"])
            for path, said in fetched["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return fetched if whole else None


def _is_whole(path: Path, num_bytes: int, sha256: str) -> bool:
    return path.is_file() and path.stat().st_size == num_bytes and sha256_of(path) == sha256


def _fetch_files(
    files: Sequence[PublishedFile], folder: Path, name: str, *, progress: bool
) -> None:
    advice = (
        "Check the network, or bring the files here in a folder; 'tinymed data list' says which."
    )
    counter = _Counter(name, files, shown=progress)
    for file in files:
        target = folder / file.path
        if not _is_whole(target, file.num_bytes, file.sha256):
            target.parent.mkdir(parents=True, exist_ok=True)
            counter.begin(file)
            download(
                Download(
                    url=file.url,
                    target=target,
                    num_bytes=file.num_bytes,
                    sha256=file.sha256,
                    advice=advice,
                ),
                progress=progress and file.num_bytes >= _LARGE_BYTES,
            )
            counter.add_fetched(file)
        counter.add_here(file)


class _Counter:
    """Says how many files are here: a line before each large one and every ten seconds."""

    def __init__(self, name: str, files: Sequence[PublishedFile], *, shown: bool) -> None:
        self._name = name
        self._shown = shown
        self._num_files = len(files)
        self._num_bytes = sum(file.num_bytes for file in files)
        self._files_here = self._bytes_here = self._bytes_fetched = 0
        self._started = time.monotonic()
        self._last_line = -_SECONDS_BETWEEN_LINES

    def begin(self, file: PublishedFile) -> None:
        now = time.monotonic()
        if not self._shown:
            return
        if file.num_bytes >= _LARGE_BYTES:
            self._say(f"fetching {file.path.name}, {_mib(file.num_bytes)} MiB; {self._left(now)}")
        elif now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._say(self._left(now))
            self._last_line = now

    def add_fetched(self, file: PublishedFile) -> None:
        self._bytes_fetched += file.num_bytes

    def add_here(self, file: PublishedFile) -> None:
        self._files_here += 1
        self._bytes_here += file.num_bytes

    def _left(self, now: float) -> str:
        line = (
            f"{self._files_here} of {self._num_files} files, "
            f"{_mib(self._bytes_here)} of {_mib(self._num_bytes)} MiB are here"
        )
        if not self._bytes_fetched:
            return line
        seconds_left = (
            (now - self._started) / self._bytes_fetched * (self._num_bytes - self._bytes_here)
        )
        return f"{line}, {tqdm.format_interval(seconds_left)} left"

    def _say(self, line: str) -> None:
        sys.stderr.write(f"{self._name}: {line}\n")
        sys.stderr.flush()


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:.1f}"


def _refuse_small_disk(files: Sequence[PublishedFile], folder: Path) -> None:
    """Refuse before the first byte; what an archive unpacks to is taken to be twice its size."""
    needed = 0
    for file in files:
        here = folder / file.path
        missing = 0 if here.is_file() else file.num_bytes
        needed += missing + (2 * file.num_bytes if file.path.suffix == ".zip" else 0)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"'{folder}' needs {_mib(needed)} MiB and has {_mib(free)} MiB. Free some, or name a "
            "folder with room."
        )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the system lets it go when the process ends, however it ends."""
    if sys.platform == "win32":
        yield
        return
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"Another tinymed is fetching into '{folder}': wait for it.") from error
        yield
