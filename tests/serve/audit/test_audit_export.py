"""Rows leave the audit as JSON lines or CSV, chosen and joined, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from written_audit import tamper, write

from tinymed.errors import ConfigError
from tinymed.serve.audit import store
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.export import Selection, export
from tinymed.serve.audit.log import AuditLog

_ANSWER = {
    "text": "=cmd|' /C calc'!A0",
    "finding": "present",
    "is_withheld": False,
    "confidence": 0.93,
    "calibrated": {"probability": 0.81, "num_samples": 422, "split": "SLAKE validation"},
    "alerts": [{"code": "blurred"}],
}


_ASKED = {"id": "q1", "question": "+1?", "own_read": "clear"}
_VERDICT = {"answer": "q1", "decision": "edit", "reason": "no", "text": "absent"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "audit.sqlite"
    log = AuditLog.open(path)
    entries = [
        Entry(kind="started", body={"model": "nano"}),
        Entry(kind="received", user="ama", case="c1", body={"sha256": "ab12"}),
        Entry(kind="asked", user="ama", case="c1", body=_ASKED),
        Entry(kind="asked", user="ama", case="c1", body={"id": "q2", "question": "other"}),
        Entry(kind="answered", user="ama", case="c1", body={"id": "q1", "answer": _ANSWER}),
        Entry(kind="asked", user="eve", case="c2", body={"id": "q3", "question": "ምንድን?"}),
        Entry(kind="verdict", user="ama", case="c1", body=_VERDICT),
    ]
    for number, one in enumerate(entries, start=1):
        time = f"2026-11-{number:02}T12:00:00.000Z"
        monkeypatch.setattr(store, "stamp", lambda moment, time=time: time)
        log.append(one)
    monkeypatch.undo()
    log.close()
    return path


def _rows(path: Path, **chosen: object) -> list[dict[str, object]]:
    out = io.StringIO()
    count = export(path, out, Selection(**chosen))  # type: ignore[arg-type]
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(rows) == count
    return rows


def test_every_row_is_a_line_of_json(path: Path) -> None:
    rows = _rows(path)
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[5]["body"] == {"id": "q3", "question": "ምንድን?"}
    assert list(rows[0]) == ["number", "time", "kind", "user", "case", "body", "hash"]


def test_rows_are_chosen_by_time_kind_case_and_user(path: Path) -> None:
    third, fifth = datetime(2026, 11, 3, 12, tzinfo=UTC), datetime(2026, 11, 5, 12, tzinfo=UTC)
    assert [row["number"] for row in _rows(path, since=third, until=fifth)] == [3, 4]
    assert [row["number"] for row in _rows(path, kind="asked")] == [3, 4, 6]
    assert [row["number"] for row in _rows(path, case="c2")] == [6]
    assert [row["number"] for row in _rows(path, user="ama", kind="asked")] == [3, 4]
    assert _rows(path, user="' OR 1=1 --") == []


def test_a_kind_that_is_none_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="the kinds are started, received"):
        _rows(path, kind="answer")


def test_a_verdict_comes_with_what_it_judges(path: Path) -> None:
    assert _rows(path, kind="verdict") == [
        {
            "number": 7,
            "time": "2026-11-07T12:00:00.000Z",
            "user": "ama",
            "case": "c1",
            "decision": "edit",
            "reason": "no",
            "text": "absent",
            "asked_at": "2026-11-03T12:00:00.000Z",
            "question": "+1?",
            "own_read": "clear",
            "answer": _ANSWER["text"],
            "model_text": None,
            "is_withheld": False,
            "finding": "present",
            "confidence": 0.93,
            "probability": 0.81,
            "alerts": ["blurred"],
            "image_sha256": "ab12",
            "answer_id": "q1",
        }
    ]


def test_a_verdict_of_something_purged_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    log = AuditLog.open(path)
    log.append(Entry(kind="verdict", case="c1", body={"answer": "q1", "decision": "accept"}))
    log.close()
    (row,) = _rows(path, kind="verdict")
    assert (row["decision"], row["question"], row["answer"]) == ("accept", None, None)


def test_a_spreadsheet_gets_no_formula(path: Path) -> None:
    out = io.StringIO()
    assert export(path, out, Selection(kind="verdict"), as_csv=True) == 1
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert row["answer"] == "'=cmd|' /C calc'!A0"
    assert row["question"] == "'+1?"
    assert row["confidence"] == "0.93"
    assert row["alerts"] == '["blurred"]'


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1"])
def test_every_beginning_of_a_formula_is_stopped(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.sqlite"
    log = AuditLog.open(path)
    log.append(Entry(kind="refused", user=text))
    log.close()
    out = io.StringIO(newline="")
    export(path, out, Selection(), as_csv=True)
    assert next(csv.DictReader(io.StringIO(out.getvalue(), newline="")))["user"] == "'" + text


def test_half_a_surrogate_pair_can_be_written_to_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    log = AuditLog.open(path)
    body = {"answer": "q", "decision": "reject", "reason": "\ud800"}
    log.append(Entry(kind="verdict", case="c", body=body))
    log.close()
    out = io.StringIO()
    export(path, out, Selection(kind="verdict"), as_csv=True)
    assert "\\ud800" in out.getvalue().encode().decode()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("body", "'words'"),
        ("body", "'[[\"a\", 1]]'"),
        ("body", f"'{'[' * 100_000}'"),
        ("user", "x'ff00'"),
    ],
    ids=["no JSON", "no object", "too deep", "no text"],
)
def test_a_row_that_is_not_ours_is_named(tmp_path: Path, column: str, value: str) -> None:
    path = tmp_path / "a.sqlite"
    write(path, "a", "b")
    tamper(path, f"UPDATE entries SET {column} = {value} WHERE number = 2")
    with pytest.raises(AuditError, match="Row 2 was not written by tinymed"):
        _rows(path)
