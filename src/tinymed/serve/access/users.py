"""The users file: names and the hashes of their passwords."""

from __future__ import annotations

import json
import logging
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tinymed.errors import ConfigError
from tinymed.runs import write_json
from tinymed.serve.access.passwords import (
    MAX_PASSWORD_CHARACTERS,
    MIN_PASSWORD_CHARACTERS,
    PasswordHash,
    hash_as_row,
    hash_from_row,
    hash_password,
)
from tinymed.serve.access.private_file import read_private

_LOG = logging.getLogger("tinymed.serve")

_NAME = re.compile(r"\w[\w.@-]{0,63}")
_OWNER_ONLY = 0o077


def read_users(path: Path) -> dict[str, PasswordHash]:
    """Read a users file.

    Raises:
        ConfigError: If it is not one, or others on this computer may read it.
    """
    text = read_private(path, what="users file")
    try:
        rows = json.loads(text)["users"]
        return {str(name): hash_from_row(row) for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"'{path}' is not a users file: make one with 'tinymed users add NAME --file {path}'."
        ) from error


def add_user(path: Path, name: str, password: str) -> None:
    """Add a user; the file is made where there is none, readable by its owner alone.

    Raises:
        ConfigError: If the name or the password does not fit, or the name is taken.
    """
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"'{name}' cannot be a user's name: at most 64 letters, digits and any of '_.@-', "
            "a letter, digit or '_' first."
        )
    _check_password(password)
    with _change(path) as users:
        if name in users:
            raise ConfigError(
                f"There is a user '{name}' in '{path}': to change the password, remove that user "
                "and add it again."
            )
        users[name] = hash_password(password)


def remove_user(path: Path, name: str) -> None:
    """Remove a user; a running server ends that user's sessions.

    Raises:
        ConfigError: If there is no such user.
    """
    name = unicodedata.normalize("NFC", name)
    read_users(path)
    with _change(path) as users:
        if name not in users:
            known = ", ".join(sorted(users)) or "nobody"
            raise ConfigError(f"There is no user '{name}' in '{path}'. There: {known}.")
        del users[name]


class UsersFile:
    """A users file as it is now: changes hold at once, without a restart."""

    def __init__(self, path: Path) -> None:
        """Read it once.

        Raises:
            ConfigError: If it is no users file, or names nobody.
        """
        self._path = path
        self._seen = _stamp(path)
        self._users = read_users(path)
        if not self._users:
            raise ConfigError(
                f"The users file '{path}' names nobody: run 'tinymed users add NAME --file {path}'."
            )

    def names(self) -> list[str]:
        """Everybody's name."""
        return sorted(self._current())

    def find(self, name: str) -> PasswordHash | None:
        """A user's hash, by the name in Unicode's NFC."""
        return self._current().get(name)

    def _current(self) -> Mapping[str, PasswordHash]:
        stamp = _stamp(self._path)
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._users = read_users(self._path)
            except ConfigError as error:
                self._users = {}  # nobody may come in by a file that cannot be read
                _LOG.error("%s Until then no user can sign in.", error)
        return self._users


def _check_password(password: str) -> None:
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise ConfigError(
            f"The password has {len(password)} characters: choose one of "
            f"{MIN_PASSWORD_CHARACTERS} or more."
        )
    if len(password) > MAX_PASSWORD_CHARACTERS:
        raise ConfigError(
            f"The password has {len(password)} characters: choose one of "
            f"{MAX_PASSWORD_CHARACTERS} or fewer."
        )
    if not _is_text(password):
        raise ConfigError("The password is no text in UTF-8: type it, or send it in UTF-8.")


def _is_text(password: str) -> bool:
    """Whether it came as text: bytes that are none come as halves of characters."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)


@contextmanager
def _change(path: Path) -> Iterator[dict[str, PasswordHash]]:
    """The users of a file, to be changed by one process at a time; written at the end."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), mode=0o600):
            users = read_users(path) if path.exists() else {}
            yield users
            _write(path, users)
    except OSError as error:
        raise ConfigError(f"Cannot write the users file '{path}': {error.strerror}.") from error


def _write(path: Path, users: Mapping[str, PasswordHash]) -> None:
    before = os.umask(_OWNER_ONLY)  # from its first byte on, nobody else may read it
    try:
        rows = {name: hash_as_row(users[name]) for name in sorted(users)}
        write_json(path, {"users": rows})
    finally:
        os.umask(before)
