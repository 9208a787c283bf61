"""Whether an audit's rows are those that were written, as far as the file itself can tell."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tinymed.serve.audit.chain import Head, Row, hash_after
from tinymed.serve.audit.errors import AuditError, audit_error
from tinymed.serve.audit.store import anchor, count_rows, open_to_read, read_rows, with_progress

How = Literal["changed", "missing", "inserted", "reordered", "cut", "damaged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Where the chain breaks first."""

    number: int
    """Of the first row that is not what was written there; 0 where the file is damaged."""
    how: How
    detail: str
    """One sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What the walk along the chain found."""

    num_rows: int
    """Rows that follow each other from the first on."""
    first: int | None
    """The first row's number; more than 1 after a purge."""
    head: Head
    """The last row that follows. Whoever notes it can tell later whether the end was cut."""
    broken: Broken | None
    is_compared: bool
    """Whether the noted head was compared; not if none was noted, or its row is purged since."""
    purges: tuple[int, ...]
    """Rows that say that older ones were purged."""
    backwards: tuple[int, ...]
    """Rows whose clock was behind the row before: somebody set it, or the chain was forged."""

    @property
    def is_intact(self) -> bool:
        """Whether nothing is broken."""
        return self.broken is None


def verify(path: Path, *, noted: Head | None = None, progress: bool = False) -> Verified:
    """Walk an audit's chain from its anchor to its end, changing nothing.

    A chain shows any change of a row that others follow. It cannot show that its end was cut, or
    that somebody computed it anew from some row on: that shows only beside a `noted` head.

    Raises:
        AuditError: If the file is no audit or cannot be read at all.
    """
    with closing(open_to_read(path)) as connection:
        try:
            connection.execute("BEGIN")  # one state of the file, whatever a server writes
            damage = _damage(connection)
            if damage:
                return _unreadable(connection, damage)
            walk = _Walk(connection, noted)
            walk.run(progress=progress)
            return walk.result()
        except sqlite3.Error as error:
            raise audit_error(path, error, what="read") from error


class _Walk:
    """The state of one walk."""

    def __init__(self, connection: sqlite3.Connection, noted: Head | None) -> None:
        self._connection = connection
        self._noted = noted
        self._anchor = self._last = anchor(connection)
        self._time = ""
        self._first: int | None = None
        self._purges: list[int] = []
        self._backwards: list[int] = []
        self._broken: Broken | None = None
        self._is_anchor_told = self._anchor.number == 0
        self._is_compared = noted == self._anchor

    def run(self, *, progress: bool) -> None:
        """Go along the chain up to its end or its first break."""
        rows: Iterator[Row] = read_rows(self._connection)
        if progress:
            total = count_rows(self._connection)
            rows = with_progress(rows, label="verify", total=total)
        for row in rows:
            self._broken = _break_before(self._connection, self._last, row)
            if self._broken:
                return
            self._follow(row)
            if self._broken:
                return
        self._broken = self._break_of_anchor() or self._break_of_end()

    def result(self) -> Verified:
        """What was found."""
        return Verified(
            num_rows=self._last.number - self._anchor.number,
            first=self._first,
            head=self._last,
            broken=self._broken,
            is_compared=self._is_compared,
            purges=tuple(self._purges),
            backwards=tuple(self._backwards),
        )

    def _follow(self, row: Row) -> None:
        if self._first is None:
            self._first = row.number
        if row.time < self._time:
            self._backwards.append(row.number)
        if row.kind == "purged":
            self._purges.append(row.number)
            self._is_anchor_told |= _purged_head(row) == str(self._anchor)
        self._time = row.time
        self._last = Head(number=row.number, hash=row.hash)
        if self._noted and self._noted.number == row.number:
            self._is_compared = True
            if self._noted.hash != row.hash:
                detail = f"Row {row.number} is not the one whose head was noted."
                self._broken = Broken(number=row.number, how="changed", detail=detail)

    def _break_of_anchor(self) -> Broken | None:
        if self._is_anchor_told:
            return None
        number = self._anchor.number
        detail = f"Rows up to {number} are missing, and no row says that they were purged."
        return Broken(number=number, how="missing", detail=detail)

    def _break_of_end(self) -> Broken | None:
        noted, last = self._noted, self._last.number
        if self._is_compared or noted is None:
            return None
        self._is_compared = noted.number >= self._anchor.number
        if noted.number > last:
            detail = f"The end is cut: rows {last + 1} to {noted.number} were there and are not."
            return Broken(number=last + 1, how="cut", detail=detail)
        if noted.number == self._anchor.number:
            detail = f"Row {noted.number}, now purged, was not the one whose head was noted."
            return Broken(number=noted.number, how="changed", detail=detail)
        return None  # purged since it was noted: nothing is left to compare it with


def _break_before(connection: sqlite3.Connection, last: Head, row: Row) -> Broken | None:
    """Why `row` does not follow `last`, if it does not."""
    number = last.number + 1
    if row.number > number:
        gap = (
            f"Rows {number} to {row.number - 1} are"
            if row.number > number + 1
            else f"Row {number} is"
        )
        return Broken(number=number, how="missing", detail=f"{gap} missing.")
    if row.number < number:
        detail = f"Row {row.number} stands among rows that were purged."
        return Broken(number=row.number, how="inserted", detail=detail)
    digest = _digest(last.hash, row)
    if digest is not None and digest == row.hash:
        return None
    return _why_unfit(connection, last, row)


def _why_unfit(connection: sqlite3.Connection, last: Head, row: Row) -> Broken:
    """Look for what belongs at a row's place further on: then it was moved, not changed."""
    number = row.number
    for later in read_rows(connection, " WHERE number > ?", (number,)):
        digest = _digest(last.hash, replace(later, number=number))
        if digest is None or digest not in (later.hash, row.hash):
            continue
        follows = _digest(digest, replace(row, number=number + 1)) in (row.hash, later.hash)
        if later.number == number + 1 and not follows:
            detail = f"Row {number} was inserted: what belongs in its place comes after it."
            return Broken(number=number, how="inserted", detail=detail)
        detail = (
            f"Row {number} is not in its place: what belongs there stands in row {later.number}."
        )
        return Broken(number=number, how="reordered", detail=detail)
    detail = f"Row {number} is not what was written there: it was changed, or written by others."
    return Broken(number=number, how="changed", detail=detail)


def _purged_head(row: Row) -> object:
    try:
        body = json.loads(row.body)
    except (ValueError, RecursionError):
        return None
    return body.get("head") if isinstance(body, dict) else None


def _digest(previous: object, row: Row) -> str | None:
    """A row's hash behind another; None of rows that tinymed cannot have written."""
    texts = (previous, row.time, row.kind, row.user, row.case, row.body)
    return hash_after(str(previous), row) if all(type(text) is str for text in texts) else None


def _damage(connection: sqlite3.Connection) -> str:
    try:
        found = [line for (line,) in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def _unreadable(connection: sqlite3.Connection, damage: str) -> Verified:
    try:
        start = anchor(connection)
    except (sqlite3.DatabaseError, AuditError):
        start = Head(number=0, hash="")
    detail = f"The file is damaged: {damage}."
    return Verified(
        num_rows=0,
        first=None,
        head=start,
        broken=Broken(number=0, how="damaged", detail=detail),
        is_compared=False,
        purges=(),
        backwards=(),
    )
