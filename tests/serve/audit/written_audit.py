"""Audits for tests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.log import AuditLog


def entry(text: str, *, kind: str = "asked", case: str = "k3v9", user: str = "ama") -> Entry:
    """A row that says `text`."""
    return Entry(kind=kind, user=user, case=case, body={"question": text})  # type: ignore[arg-type]


def write(path: Path, *texts: str) -> None:
    """An audit with a row a text."""
    log = AuditLog.open(path)
    for text in texts:
        log.append(entry(text))
    log.close()


def tamper(path: Path, *statements: str) -> None:
    """Change an audit as somebody would who has the file and SQLite, triggers dropped."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            )
        ]
        for name in names:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def bodies(path: Path) -> list[str]:
    """What the rows hold, in order."""
    with closing(sqlite3.connect(path)) as connection:
        return [body for (body,) in connection.execute("SELECT body FROM entries ORDER BY number")]
