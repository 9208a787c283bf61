"""Old rows are deleted, and the chain can still be verified from an anchor on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tinymed.serve.audit.chain import Head
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError, audit_error
from tinymed.serve.audit.log import hold
from tinymed.serve.audit.store import (
    anchor,
    append_rows,
    open_to_read,
    open_to_write,
    stamp,
    transaction,
)
from tinymed.serve.audit.verify import verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Purgeable:
    """The rows from the first on that are older than a moment."""

    num_rows: int
    first: int
    last: Head


def purgeable(path: Path, *, before: datetime) -> Purgeable | None:
    """Which rows a purge would delete; None if there are none.

    Rows end at the first that is not older, so that what is kept has no gap.

    Raises:
        AuditError: If the audit cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        try:
            return _purgeable(connection, before)
        except sqlite3.Error as error:
            raise audit_error(path, error, what="read") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """Older rows that a purge would not delete, because a row before them is not older."""

    num_rows: int
    by: int
    """The number of that row: the clock was ahead when it was written, or behind after it."""
    time: str
    """As that row has it."""


def held_back(path: Path, *, before: datetime) -> HeldBack | None:
    """Which older rows a purge would leave; None if there are none.

    Raises:
        AuditError: If the audit cannot be read.
    """
    with closing(open_to_read(path)) as connection:
        try:
            kept = connection.execute(
                "SELECT number, time, (SELECT count(*) FROM entries WHERE time < ? "
                "AND number > kept.number) FROM entries AS kept WHERE time >= ? "
                "ORDER BY number LIMIT 1",
                (stamp(before), stamp(before)),
            ).fetchone()
        except sqlite3.Error as error:
            raise audit_error(path, error, what="read") from error
    if kept is None or not kept[2]:
        return None
    return HeldBack(by=kept[0], time=kept[1], num_rows=kept[2])


def purge(path: Path, *, before: datetime, user: str, progress: bool = False) -> Purgeable | None:
    """Delete the rows that are older than a moment, and write a row that says so.

    Nothing of them is left in the file nor in its WAL; a disk may still hold old blocks of both.
    The file does not shrink: new rows fill what became free.

    Raises:
        AuditError: If a server holds the audit, its chain is broken (it is then evidence, and
            stays), or it cannot be written.
    """
    if not path.is_file():
        raise AuditError(f"There is no audit at '{path}': name one with --file.")
    lock = hold(path)
    try:
        with closing(open_to_write(path)) as connection:
            return _purge(path, connection, before=before, user=user, progress=progress)
    except sqlite3.Error as error:
        raise audit_error(path, error, what="purged") from error
    finally:
        lock.release()


def _purge(
    path: Path, connection: sqlite3.Connection, *, before: datetime, user: str, progress: bool
) -> Purgeable | None:
    broken = verify(path, progress=progress).broken
    if broken:
        raise AuditError(f"'{path}' is not purged, because its chain is broken: {broken.detail}")
    doomed = _purgeable(connection, before)
    if doomed is not None:
        _delete(connection, doomed, before=before, user=user)
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise AuditError(
            f"The rows of '{path}' are deleted, but another program reads it, so that their text "
            "is still on the disk: close that program and purge again."
        )
    return doomed


def _delete(
    connection: sqlite3.Connection, doomed: Purgeable, *, before: datetime, user: str
) -> None:
    told = {
        "before": stamp(before),
        "num_rows": doomed.num_rows,
        "first": doomed.first,
        "last": doomed.last.number,
        "head": str(doomed.last),
    }
    with transaction(connection):
        append_rows(connection, [Entry(kind="purged", user=user, body=told)])
        connection.execute(
            "INSERT INTO anchors (number, hash) VALUES (?, ?)",
            (doomed.last.number, doomed.last.hash),
        )
        connection.execute("DELETE FROM entries WHERE number <= ?", (doomed.last.number,))


def _purgeable(connection: sqlite3.Connection, before: datetime) -> Purgeable | None:
    first_kept = connection.execute(
        "SELECT min(number) FROM entries WHERE time >= ?", (stamp(before),)
    ).fetchone()[0]
    found = connection.execute(
        "SELECT number, hash FROM entries WHERE number < coalesce(?, number + 1) "
        "ORDER BY number DESC LIMIT 1",
        (first_kept,),
    ).fetchone()
    if found is None:
        return None
    first = anchor(connection).number + 1
    last = Head(number=found[0], hash=found[1])
    return Purgeable(num_rows=last.number - first + 1, first=first, last=last)
