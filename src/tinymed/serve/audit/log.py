"""The audit as the server writes it."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError, audit_error
from tinymed.serve.audit.store import append_rows, open_to_write, transaction


class AuditLog:
    """The audit of one server; threads take turns, other processes are refused."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock) -> None:
        """Use `AuditLog.open`."""
        self.path = path
        self._connection = connection
        self._lock = lock
        self._turn = threading.Lock()
        # SQLite puts it beside the file itself, wherever a link to that lies.
        self._wal = Path(f"{os.path.realpath(path)}-wal")
        self._file = _identity(path)
        self._num_bytes = path.stat().st_size

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an audit, made if missing, for this process alone.

        Raises:
            AuditError: If another process holds it, it is no audit, a newer tinymed's, damaged,
                or cannot be written.
        """
        lock = hold(path)
        try:
            return cls(path, open_to_write(path), lock)
        except AuditError:
            lock.release()
            raise

    def append(self, *entries: Entry) -> tuple[int, ...]:
        """Write all entries or none; they are on the disk when this returns their numbers.

        Raises:
            AuditError: If they are not on the disk.
        """
        with self._turn:
            try:
                with transaction(self._connection):
                    numbers = append_rows(self._connection, entries)
                self._refuse_another_file()
            except (OSError, sqlite3.Error) as error:
                raise audit_error(self.path, error, what="written") from error
            return numbers

    def close(self) -> None:
        """Close the file and let another process have it; a second call does nothing."""
        with self._turn:
            self._connection.close()
            self._lock.release()

    def _refuse_another_file(self) -> None:
        """What is written to a file that was deleted or replaced is lost when this one closes."""
        if _identity(self.path) != self._file or not self._wal.exists():
            raise AuditError(
                f"The audit '{self.path}' was deleted or replaced while in use: start again."
            )
        num_bytes = self.path.stat().st_size
        if num_bytes < self._num_bytes:  # SQLite's own never does, but for a VACUUM by hand
            raise AuditError(
                f"The audit '{self.path}' was cut short while in use: keep it, and start again "
                "with a new file."
            )
        self._num_bytes = num_bytes


def hold(path: Path) -> FileLock:
    """Hold an audit, by whatever link, for this process; the system lets go when that ends.

    Raises:
        AuditError: If another holds it, or its folder cannot be written.
    """
    # Not thread-local: the thread that closes need not be the one that opened.
    lock = FileLock(
        f"{os.path.realpath(path)}.lock", mode=0o600, blocking=False, thread_local=False
    )
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True)
        lock.acquire()
    except Timeout as error:
        raise AuditError(
            f"The audit '{path}' is held by another process: stop that one, or name another file."
        ) from error
    except OSError as error:
        raise audit_error(path, error, what="opened") from error
    return lock


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
