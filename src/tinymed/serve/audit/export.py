"""Rows of the audit for people and programs: JSON lines, or CSV for a spreadsheet."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, get_args

from tinymed.errors import ConfigError
from tinymed.serve.audit.chain import Row
from tinymed.serve.audit.entry import EntryKind
from tinymed.serve.audit.errors import AuditError, audit_error
from tinymed.serve.audit.store import count_rows, open_to_read, read_rows, stamp, with_progress

_ROW_COLUMNS = ("number", "time", "kind", "user", "case", "body", "hash")
_TEXT_COLUMNS = ("time", "kind", "user", "case", "hash")
_VERDICT_COLUMNS = (
    "number",
    "time",
    "user",
    "case",
    "decision",
    "reason",
    "text",
    "asked_at",
    "question",
    "own_read",
    "answer",
    "model_text",
    "is_withheld",
    "finding",
    "confidence",
    "probability",
    "alerts",
    "image_sha256",
    "answer_id",
)
_DANGEROUS = (*"=+-@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""A spreadsheet takes a cell that begins so for a formula; the last four are full-width ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows; "" chooses all."""

    since: datetime | None = None
    until: datetime | None = None
    """Before this time."""
    kind: str = ""
    case: str = ""
    user: str = ""


def export(
    path: Path, out: TextIO, selection: Selection, *, as_csv: bool = False, progress: bool = False
) -> int:
    """Write the chosen rows to `out`, one at a time, and say how many.

    Of the kind "verdict" a row holds the question, the answer and the image that it judges; of
    all others what stands in the audit.

    Raises:
        AuditError: If the audit cannot be read.
        ConfigError: If there is no such kind.
    """
    if selection.kind and selection.kind not in get_args(EntryKind):
        kinds = ", ".join(get_args(EntryKind))
        raise ConfigError(f"No row is of the kind '{selection.kind}': the kinds are {kinds}.")
    is_joined = selection.kind == "verdict"
    columns = _VERDICT_COLUMNS if is_joined else _ROW_COLUMNS
    write = _csv_writer(out, columns) if as_csv else _json_writer(out)
    where, values = _where(selection)
    num_rows = 0
    with closing(open_to_read(path)) as connection:
        try:
            connection.execute("BEGIN")  # one state of the file, whatever a server writes
            rows = read_rows(connection, where, values)
            if progress:
                total = count_rows(connection, where, values)
                rows = with_progress(rows, label="export", total=total)
            for row in rows:
                write(_verdict(connection, row) if is_joined else _whole(row))
                num_rows += 1
        except sqlite3.Error as error:
            raise audit_error(path, error, what="read") from error
    return num_rows


def _where(selection: Selection) -> tuple[str, list[object]]:
    """The choice as SQL, with its values apart."""
    chosen = {
        "time >= ?": stamp(selection.since) if selection.since else "",
        "time < ?": stamp(selection.until) if selection.until else "",
        "kind = ?": selection.kind,
        '"case" = ?': selection.case,
        "user = ?": selection.user,
    }
    used = {clause: value for clause, value in chosen.items() if value}
    return (" WHERE " + " AND ".join(used) if used else "", list(used.values()))


def _whole(row: Row) -> dict[str, Any]:
    whole = asdict(row) | {"body": _body(row)}
    if not all(isinstance(whole[name], str) for name in _TEXT_COLUMNS):
        raise _not_ours(row)
    return whole


def _body(row: Row) -> dict[str, Any]:
    try:
        body = json.loads(row.body)
    except (TypeError, ValueError, RecursionError) as error:
        raise _not_ours(row) from error
    if not isinstance(body, dict):
        raise _not_ours(row)
    return body


def _not_ours(row: Row) -> AuditError:
    return AuditError(f"Row {row.number} was not written by tinymed: run 'tinymed logs verify'.")


def _verdict(connection: sqlite3.Connection, row: Row) -> dict[str, Any]:
    """A verdict with what it judges; what was purged meanwhile is None."""
    verdict = _whole(row)["body"]
    image: dict[str, Any] = {}
    asked: dict[str, Any] = {}
    answered: dict[str, Any] = {}
    asked_at = None
    for one in read_rows(connection, ' WHERE "case" = ? AND number < ?', (row.case, row.number)):
        body = _body(one)
        if one.kind == "received":
            image = body
        elif one.kind == "asked" and body.get("id") == verdict.get("answer"):
            asked, asked_at = body, one.time
        elif one.kind == "answered" and body.get("id") == verdict.get("answer"):
            answered = body.get("answer") or {}
    found = {
        "number": row.number,
        "time": row.time,
        "user": row.user,
        "case": row.case,
        "asked_at": asked_at,
        "answer": answered.get("text"),
        **{name: verdict.get(name) for name in ("decision", "reason", "text")},
        **{name: asked.get(name) for name in ("question", "own_read")},
        **{
            name: answered.get(name)
            for name in ("model_text", "is_withheld", "finding", "confidence")
        },
        "probability": (answered.get("calibrated") or {}).get("probability"),
        "alerts": [alert.get("code") for alert in answered.get("alerts") or ()],
        "image_sha256": image.get("sha256"),
        "answer_id": verdict.get("answer"),
    }
    return {column: found[column] for column in _VERDICT_COLUMNS}


def _json_writer(out: TextIO) -> Callable[[Mapping[str, Any]], object]:
    return lambda row: out.write(json.dumps(row) + "\n")


def _csv_writer(out: TextIO, columns: Sequence[str]) -> Callable[[Mapping[str, Any]], object]:
    writer = csv.writer(out)
    writer.writerow(columns)
    return lambda row: writer.writerow([_cell(row[column]) for column in columns])


def _cell(value: object) -> object:
    """A value as a spreadsheet may show it, never as a formula.

    >>> _cell("=1+1"), _cell(-0.5), _cell(["low-confidence"])
    ("'=1+1", -0.5, '["low-confidence"]')
    """
    if isinstance(value, dict | list):
        value = json.dumps(value)
    if not isinstance(value, str):
        return value
    # Half a surrogate pair, which JSON can hold and UTF-8 cannot, is spelt out.
    text = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return "'" + text if text.startswith(_DANGEROUS) else text
