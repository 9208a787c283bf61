"""One large file over an unreliable connection: resumed, never started over."""

from __future__ import annotations

import hashlib
import os
import re
import time
import urllib.error
from dataclasses import dataclass
from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models.transfer import urls
from tinymed.models.transfer.byte_progress import ByteProgress
from tinymed.models.transfer.urls import (
    NETWORK_ERRORS,
    Response,
    open_url,
    reason_of,
    without_password,
)
from tinymed.runs import sha256_of, sync_folder

_CHUNK_BYTES = 1 << 16
_HASHED_BYTES = 1 << 20
_PARTIAL_CONTENT = 206
_RANGE_REFUSED = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to fetch, known by size and hash."""

    url: str
    target: Path
    """Where it lies when whole; until then `TARGET.partial` grows."""
    num_bytes: int
    advice: str
    """Sentence for the person whose connection does not hold."""
    sha256: str = ""
    git_blob: str = ""
    """The file's name in git (SHA-1), where its publisher states no SHA-256 of it."""
    token: str | None = None
    """Shown to the address's host, and to no other that it redirects to."""

    @property
    def partial(self) -> Path:
        """What has come so far; it survives the process."""
        return self.target.with_name(self.target.name + ".partial")

    @property
    def num_bytes_here(self) -> int:
        """Bytes that have come so far."""
        return self.partial.stat().st_size if self.partial.exists() else 0


def download(file: Download, *, progress: ByteProgress | bool) -> None:
    """Fetch a file, going on from where an earlier try ended.

    `pip`, `pooch` and `huggingface_hub` were looked at: none takes up a partial file of an
    earlier process from a package index. huggingface_hub 2.4.0 writes to a file of a random
    name and deletes it when a download fails, so it starts over each time, and compares no
    hash with what came over HTTP.

    Args:
        file: What to fetch.
        progress: Whether to show MB, speed and time left; or what counts them for several
            files, to which what is here already has been added.

    Raises:
        ModelError: If the connection fails for good, the disk is full, or what came is not
            the file; in the last case it is deleted.
    """
    if isinstance(progress, ByteProgress):
        _download(file, progress)
        return
    label = file.target.name.partition("-")[0]
    here = min(file.num_bytes_here, file.num_bytes)
    with ByteProgress(label, total=file.num_bytes, done=here, shown=progress) as own:
        _download(file, own)


def has_content(path: Path, file: Download) -> bool:
    """Whether a file is what `file` says it should be, read to the last byte."""
    if file.sha256:
        return sha256_of(path) == file.sha256
    digest = hashlib.sha1(f"blob {file.num_bytes}\0".encode(), usedforsecurity=False)
    with path.open("rb") as content:
        while chunk := content.read(_HASHED_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == file.git_blob


def _download(file: Download, progress: ByteProgress) -> None:
    others_done = progress.done - min(file.num_bytes_here, file.num_bytes)
    if file.num_bytes_here > file.num_bytes:
        file.partial.unlink()
    if file.num_bytes == 0:
        file.partial.touch()
    _fetch_until_whole(file, progress, others_done=others_done)
    if not has_content(file.partial, file):
        file.partial.unlink()
        raise ModelError(
            f"'{file.target.name}' arrived damaged from {without_password(file.url)} (its "
            f"{'SHA-256' if file.sha256 else 'git hash'} is not the expected one) and was "
            "deleted. Run the same command again."
        )
    _flush(file.partial)
    file.partial.replace(file.target)
    sync_folder(file.target.parent)


def _flush(path: Path) -> None:
    """Put a file on the disk, so that a power cut after its renaming cannot empty it."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _fetch_until_whole(file: Download, progress: ByteProgress, *, others_done: int) -> None:
    num_fruitless = 0
    while (before := file.num_bytes_here) < file.num_bytes:
        try:
            progress.set_done(others_done + before)
            _fetch_rest(file, progress)
            reason = "the connection ended early"
        except NETWORK_ERRORS as error:
            if isinstance(error, urllib.error.HTTPError) and error.code != _RANGE_REFUSED:
                raise _failure(file, reason_of(error)) from error
            reason = reason_of(error)
        num_fruitless = 0 if file.num_bytes_here > before else num_fruitless + 1
        if num_fruitless >= urls.TRIES:
            raise _failure(file, reason)
        if num_fruitless:
            time.sleep(urls.FIRST_PAUSE_S * 2**num_fruitless)


def _fetch_rest(file: Download, progress: ByteProgress) -> None:
    """Append what one connection gives."""
    here = file.num_bytes_here
    headers = {"Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        response = open_url(file.url, headers, token=file.token)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_REFUSED:
            # The server's file is shorter than what is here: that cannot be the right one.
            file.partial.unlink(missing_ok=True)
        raise
    try:
        num_to_skip = here - _first_byte(file, response)
        _append(file, response, num_to_skip=num_to_skip, progress=progress)
    finally:
        response.close()


def _first_byte(file: Download, response: Response) -> int:
    """Position in the file at which a response begins: 0 where the server ignores ranges."""
    length = response.headers.get("Content-Length")
    if response.status == _PARTIAL_CONTENT:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        first, whole = match.groups() if match else ("", "")
    else:
        first, whole = "0", length or "*"
    if whole not in (str(file.num_bytes), "*") or int(first) > file.num_bytes_here:
        # A network's login page answers 200 to anything; keep what has come so far.
        raise _failure(file, f"the server sent something else ({length} bytes)")
    return int(first)


def _append(
    file: Download, response: Response, *, num_to_skip: int, progress: ByteProgress
) -> None:
    while num_to_skip > 0:
        skipped = response.read(min(num_to_skip, _CHUNK_BYTES))
        if not skipped:
            return
        num_to_skip -= len(skipped)
    num_left = file.num_bytes - file.num_bytes_here
    # read1 gives what has come and does not wait for more: on a slow line a kill loses little.
    while chunk := response.read1(min(_CHUNK_BYTES, num_left)):
        try:
            with file.partial.open("ab") as partial:
                partial.write(chunk)
        except OSError as error:  # not the network's, so trying again is of no use
            raise _failure(file, f"cannot write to '{file.partial.parent}': {error}") from error
        num_left -= len(chunk)
        progress.add(len(chunk))


def _failure(file: Download, reason: str) -> ModelError:
    return ModelError(
        f"The download of '{file.target.name}' stopped at {file.num_bytes_here / 2**20:.1f} of "
        f"{file.num_bytes / 2**20:.1f} MiB: {reason}. Run the same command again to go on from "
        f"there. {file.advice}"
    )
