"""The audit's file: a SQLite database whose rows follow each other and stay."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tinymed.progress import Progress
from tinymed.serve.audit.chain import Head, Row, canonical_json, hash_after
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError, audit_error

_APPLICATION_ID = 0x746D6564  # "tmed"
_VERSION = 1
_BUSY_S = 5.0

# Rows are deleted only behind an anchor, which `purge` writes first and which stays. The first
# trigger also stops INSERT OR REPLACE, which fires no trigger for the row that it deletes.
_SCHEMA = """
CREATE TABLE anchors (number INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    user TEXT NOT NULL,
    "case" TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX entries_of_a_case ON entries ("case") WHERE "case" <> '';
CREATE TRIGGER entries_follow_each_other BEFORE INSERT ON entries
    WHEN NEW.number <= (SELECT max(number) FROM anchors)
      OR NEW.number <= (SELECT max(number) FROM entries)
    BEGIN SELECT RAISE(ABORT, 'a row of the audit stands at the end'); END;
CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'a row of the audit is not changed'); END;
CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
    WHEN OLD.number > (SELECT max(number) FROM anchors)
    BEGIN SELECT RAISE(ABORT, 'a row of the audit is not deleted'); END;
CREATE TRIGGER anchors_are_not_changed BEFORE UPDATE ON anchors
    BEGIN SELECT RAISE(ABORT, 'an anchor of the audit is not changed'); END;
CREATE TRIGGER anchors_are_not_deleted BEFORE DELETE ON anchors
    BEGIN SELECT RAISE(ABORT, 'an anchor of the audit is not deleted'); END;
"""
_COLUMNS = 'number, time, kind, user, "case", body, hash'


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the audit, made if missing, so that a commit is on the disk when it returns.

    The file and what SQLite puts beside it are the user's alone.

    Raises:
        AuditError: If it is no audit, of a newer tinymed, damaged, or cannot be written.
    """
    try:
        _make_private(path)
        connection = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise audit_error(path, error, what="opened") from error
    try:
        if not _is_audit(connection, path):
            _create(connection)
        _set_up(connection)
    except sqlite3.Error as error:
        connection.close()
        raise audit_error(path, error, what="opened") from error
    except AuditError:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the audit without changing anything, also while a server writes to it.

    Raises:
        AuditError: If there is none, it is no audit, or it cannot be read.
    """
    if not path.is_file():
        raise AuditError(f"There is no audit at '{path}': name one with --file.")
    try:
        connection = _read_only(path)
    except sqlite3.Error as error:
        raise audit_error(path, error, what="read") from error
    try:
        is_audit = _is_audit(connection, path)
    except AuditError:
        connection.close()
        raise
    if not is_audit:
        connection.close()
        raise AuditError(f"'{path}' is empty: no server has begun an audit in it.")
    # Bytes that are no text were not written by tinymed; the chain will say in which row.
    connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write everything in a `with` block, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def read_rows(
    connection: sqlite3.Connection, where: str = "", values: Sequence[object] = ()
) -> Iterator[Row]:
    """Rows in order, one at a time; `where` is SQL from " WHERE " on, for `values`."""
    sql = f"SELECT {_COLUMNS} FROM entries{where} ORDER BY number"  # noqa: S608 - ours alone
    for found in connection.execute(sql, values):
        yield Row(**dict(zip(Row.__dataclass_fields__, found, strict=True)))


def count_rows(
    connection: sqlite3.Connection, where: str = "", values: Sequence[object] = ()
) -> int:
    """How many rows `read_rows` will give."""
    sql = f"SELECT count(*) FROM entries{where}"  # noqa: S608 - ours alone
    (count,) = connection.execute(sql, values).fetchone()
    return int(count)


def with_progress(rows: Iterator[Row], *, label: str, total: int) -> Iterator[Row]:
    """The same rows, with how far along they are on stderr."""
    with Progress(label, total=total, unit="row") as progress:
        for row in rows:
            yield row
            progress.step()


def anchor(connection: sqlite3.Connection) -> Head:
    """What the first row follows: the newest purge's last row, or the audit's random origin.

    Raises:
        AuditError: If there is neither: somebody took it away.
    """
    found = connection.execute(
        "SELECT number, hash FROM anchors ORDER BY number DESC LIMIT 1"
    ).fetchone()
    if found is None:
        raise AuditError(
            "The audit is broken, because the origin of its chain was deleted: keep the file, "
            "and name a new one with --audit."
        )
    return Head(number=found[0], hash=found[1])


def head(connection: sqlite3.Connection) -> Head:
    """The last row, or where there is none what the first will follow."""
    found = connection.execute(
        "SELECT number, hash FROM entries ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return Head(number=found[0], hash=found[1]) if found else anchor(connection)


def append_rows(connection: sqlite3.Connection, entries: Sequence[Entry]) -> tuple[int, ...]:
    """Chain entries to the last row, inside a transaction; gives their numbers.

    Raises:
        AuditError: If the database does not take them.
    """
    last = head(connection)
    numbers = []
    for entry in entries:
        row = Row(
            number=last.number + 1,
            time=stamp(datetime.now(UTC)),
            kind=entry.kind,
            user=_storable(entry.user),
            case=_storable(entry.case),
            body=canonical_json(entry.body),
        )
        row = replace(row, hash=hash_after(last.hash, row))
        written = connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row.number, row.time, row.kind, row.user, row.case, row.body, row.hash),
        )
        if written.rowcount != 1:  # a trigger that is not ours can swallow it
            raise AuditError(
                "The audit does not take rows, because somebody changed its tables: keep the "
                "file, and name a new one with --audit."
            )
        last = Head(number=row.number, hash=row.hash)
        numbers.append(row.number)
    return tuple(numbers)


def stamp(moment: datetime) -> str:
    """A moment as rows have it: UTC, to the millisecond, in an order that text has too."""
    utc = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return utc.replace("+00:00", "Z")


def _storable(text: str) -> str:
    """Text that UTF-8 can hold: half a surrogate pair, which JSON can bring, is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _make_private(path: Path) -> None:
    """Make the file readable by its owner alone; SQLite gives its companions the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)


def _read_only(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA application_id")
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        # On a medium that cannot be written SQLite has no place for its index of the WAL; without
        # a WAL it needs none.
        wal = Path(f"{os.path.realpath(path)}-wal")
        if wal.exists() and wal.stat().st_size:
            raise
        return sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    return connection


def _is_audit(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is an audit; False if it is still empty.

    Raises:
        AuditError: If it is something else, or a newer tinymed's.
    """
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (num_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise audit_error(path, error, what="read") from error
    if not application_id and not num_tables:
        return False
    if application_id != _APPLICATION_ID or version < _VERSION:
        raise AuditError(f"'{path}' is another program's database: name another file.")
    if version > _VERSION:
        raise AuditError(
            f"The audit '{path}' was written by a newer tinymed (its layout is {version}, this "
            f"one reads {_VERSION}): use that tinymed, or name another file."
        )
    return True


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in _statements(_SCHEMA):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO anchors (number, hash) VALUES (0, ?)", (secrets.token_hex(32),)
        )
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA journal_size_limit = 4194304")


def _statements(script: str) -> Iterator[str]:
    """Statements one by one: `executescript` would commit before it begins."""
    waiting = ""
    for line in script.splitlines(keepends=True):
        waiting += line
        if sqlite3.complete_statement(waiting):
            yield waiting
            waiting = ""
