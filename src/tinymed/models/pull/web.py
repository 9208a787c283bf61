"""A model's file at a web address, or in a folder that stands for it."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tinymed.errors import ConfigError, ModelError
from tinymed.models.pull.plan import PlannedFile, planned_file
from tinymed.models.transfer.urls import (
    NETWORK_ERRORS,
    Response,
    open_url,
    reason_of,
    without_password,
)

_MAX_HASH_BYTES = 4096
_HASH = re.compile(r"\s*([0-9A-Fa-f]{64})(?![0-9A-Fa-f])")
_THIS_COMPUTER = ("127.0.0.1", "localhost", "::1")


def web_file(url: str, *, sha256: str | None, folders: Sequence[Path]) -> PlannedFile:
    """The file at an address, with the hash that is given or published beside it.

    Args:
        url: Its address: https; http only where the hash is given, or on this computer.
        sha256: The expected hash; None takes it from ADDRESS.sha256.
        folders: Where given, the file and its `.sha256` are taken from there, and the network
            is not used.

    Raises:
        ConfigError: If the address is not safe, or no hash can be had.
        ModelError: If the file cannot be had.
    """
    parts = urllib.parse.urlsplit(url)
    shown = without_password(url)
    name = urllib.parse.unquote(PurePosixPath(parts.path).name)
    if folders:
        url = _in_folders(name, folders)
    elif parts.scheme == "http" and not sha256 and parts.hostname not in _THIS_COMPUTER:
        raise ConfigError(
            f"'{shown}' is not https, so anybody on the way could change it and its hash: use "
            "https, or say which file you mean with --sha256."
        )
    expected = sha256 or _published_hash(url)
    return planned_file(name, url, num_bytes=size_of(url), sha256=expected, whence=f"'{shown}'")


def size_of(url: str) -> int | None:
    """How many bytes an address holds, or None where its server does not say.

    Raises:
        ModelError: If it cannot be opened.
    """
    response = _open(url)
    try:
        length = response.headers.get("Content-Length", "")
    finally:
        response.close()
    return int(length) if length.isdigit() else None


def _in_folders(name: str, folders: Sequence[Path]) -> str:
    for folder in folders:
        if (folder / name).is_file():
            return (folder / name).resolve().as_uri()
    shown = ", ".join(f"'{folder}'" for folder in folders)
    raise ModelError(f"No file '{name}' is in {shown}.")


def _published_hash(url: str) -> str:
    """The SHA-256 that is published beside a file, as `sha256sum` writes it."""
    parts = urllib.parse.urlsplit(url)
    beside = urllib.parse.urlunsplit(parts._replace(path=parts.path + ".sha256"))
    try:
        response = _open(beside)
    except ModelError as error:
        raise ConfigError(
            f"No hash of '{without_password(url)}' is known: say it with --sha256, or have it "
            f"published at '{without_password(beside)}'."
        ) from error
    try:
        match = _HASH.match(response.read(_MAX_HASH_BYTES).decode("utf-8", errors="replace"))
    finally:
        response.close()
    if match is None:
        raise ConfigError(
            f"'{without_password(beside)}' does not begin with a SHA-256: say it with --sha256."
        )
    return match[1].lower()


def _open(url: str) -> Response:
    try:
        return open_url(url, {"Accept-Encoding": "identity"})
    except (*NETWORK_ERRORS, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise ModelError(f"Cannot open '{without_password(url)}': {reason_of(error)}.") from error
