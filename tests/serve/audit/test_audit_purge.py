"""Old rows go for good, and what is kept can still be verified."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from written_audit import bodies, entry, tamper, write

from tinymed.serve.audit import store
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.audit.purge import HeldBack, held_back, purge, purgeable
from tinymed.serve.audit.verify import verify


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten rows, one a day of November 2026 from the first on, at noon."""
    path = tmp_path / "audit.sqlite"
    for day in range(1, 11):
        time = f"2026-11-{day:02}T12:00:00.000Z"
        monkeypatch.setattr(store, "stamp", lambda moment, time=time: time)
        write(path, f"secret-{day} " + "long " * 500)
    monkeypatch.undo()
    return path


def _day(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


def test_older_rows_go_and_the_chain_still_holds(path: Path) -> None:
    noted = verify(path).head
    gone = purge(path, before=_day(5), user="root")
    assert gone
    assert (gone.num_rows, gone.first, gone.last.number) == (4, 1, 4)
    found = verify(path, noted=noted)
    assert found.is_intact
    assert found.is_compared
    assert (found.first, found.num_rows, found.purges) == (5, 7, (11,))
    told = json.loads(bodies(path)[-1])
    assert told == {
        "before": "2026-11-05T00:00:00.000Z",
        "first": 1,
        "last": 4,
        "num_rows": 4,
        "head": str(gone.last),
    }
    write(path, "after")
    assert verify(path).num_rows == 8


def test_nothing_of_the_text_is_left_in_any_file(path: Path) -> None:
    log = AuditLog.open(path)
    log.append(entry("kept"))
    log.close()
    assert b"secret-3" in path.read_bytes()
    purge(path, before=_day(5), user="root")
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for day in range(1, 5):
        assert f"secret-{day} ".encode() not in left
    assert b"secret-5 " in left


def test_purging_again_and_purging_all(path: Path) -> None:
    purge(path, before=_day(3), user="root")
    purge(path, before=_day(6), user="root")
    assert verify(path).first == 6
    gone = purge(path, before=datetime(2100, 1, 1, tzinfo=UTC), user="root")
    assert gone
    found = verify(path)
    assert found.is_intact
    assert (found.first, found.num_rows) == (13, 1)
    assert found.purges == (13,)


def test_nothing_to_purge_writes_nothing(path: Path) -> None:
    assert purgeable(path, before=_day(1)) is None
    assert purge(path, before=_day(1), user="root") is None
    assert verify(path).num_rows == 10


def test_rows_kept_have_no_gap_though_a_clock_went_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "stamp", lambda moment: "2001-01-01T00:00:00.000Z")
    write(path, "from a wrong clock")
    monkeypatch.undo()
    found = purgeable(path, before=_day(5))
    assert found
    assert found.last.number == 4
    purge(path, before=_day(5), user="root")
    assert verify(path).is_intact


def test_older_rows_behind_a_clock_that_was_ahead_are_told_of(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert held_back(path, before=_day(5)) is None
    assert held_back(path, before=datetime(2100, 1, 1, tzinfo=UTC)) is None
    monkeypatch.setattr(store, "stamp", lambda moment: "2062-01-01T00:00:00.000Z")
    write(path, "from a clock that was ahead")
    monkeypatch.setattr(store, "stamp", lambda moment: "2026-11-11T12:00:00.000Z")
    write(path, "a", "b")
    monkeypatch.undo()
    purge(path, before=_day(12), user="root")
    held = held_back(path, before=_day(12))
    assert held == HeldBack(num_rows=2, by=11, time="2062-01-01T00:00:00.000Z")


def test_a_head_that_was_noted_before_a_purge_of_its_row_is_not_compared(path: Path) -> None:
    noted = verify(path).head
    write(path, "more")
    purge(path, before=datetime(2100, 1, 1, tzinfo=UTC), user="root")
    found = verify(path, noted=noted)
    assert found.is_intact
    assert not found.is_compared


def test_the_last_purged_row_is_still_compared(path: Path) -> None:
    noted = verify(path).head
    purge(path, before=_day(11), user="root")
    found = verify(path, noted=noted)
    assert found.is_intact
    assert found.is_compared


def test_a_running_server_keeps_its_rows(path: Path) -> None:
    log = AuditLog.open(path)
    with pytest.raises(AuditError, match="held by another process"):
        purge(path, before=_day(5), user="root")
    log.append(entry("goes on"))
    log.close()
    assert verify(path).num_rows == 11


def test_a_broken_chain_is_evidence_and_stays(path: Path) -> None:
    tamper(path, "UPDATE entries SET user = 'eve' WHERE number = 2")
    with pytest.raises(AuditError, match="is not purged, because its chain is broken: Row 2"):
        purge(path, before=_day(5), user="root")
    assert len(bodies(path)) == 10


def test_a_reader_that_keeps_old_pages_on_the_disk_is_told_of(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_BUSY_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        with pytest.raises(AuditError, match="still on the disk"):
            purge(path, before=_day(5), user="root")
        reader.execute("COMMIT")
    assert purge(path, before=_day(5), user="root") is None
    assert b"secret-3" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_there_must_be_an_audit(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="There is no audit"):
        purge(tmp_path / "none.sqlite", before=_day(1), user="root")
    assert list(tmp_path.iterdir()) == []
