"""The audit is written: whole, in turn, on the disk, or refused in a sentence."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from written_audit import bodies, entry, tamper, write

from tinymed.serve.audit import log as log_module
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.location import audit_path
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.audit.verify import verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.sqlite"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_rows_are_numbered_from_one_and_found_again(path: Path) -> None:
    log = AuditLog.open(path)
    assert log.append(entry("a")) == (1,)
    assert log.append(entry("b"), entry("c")) == (2, 3)
    log.close()
    log = AuditLog.open(path)
    assert log.append(entry("d")) == (4,)
    log.close()
    assert [json.loads(body)["question"] for body in bodies(path)] == ["a", "b", "c", "d"]
    assert verify(path).is_intact


def test_a_row_says_when_who_and_what(path: Path) -> None:
    log = AuditLog.open(path)
    log.append(Entry(kind="verdict", user="ama", case="k3v9", body={"b": "é", "a": None}))
    log.close()
    with closing(sqlite3.connect(path)) as connection:
        (row,) = connection.execute("SELECT * FROM entries").fetchall()
    number, time, kind, user, case, body, digits = row
    assert (number, kind, user, case) == (1, "verdict", "ama", "k3v9")
    assert body == '{"a":null,"b":"\\u00e9"}'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert re.fullmatch(r"[0-9a-f]{64}", digits)


def test_the_hash_can_be_computed_by_whoever_has_sha256_and_json(path: Path) -> None:
    import hashlib

    write(path, "a", "b")
    with closing(sqlite3.connect(path)) as connection:
        (previous,) = connection.execute("SELECT hash FROM anchors").fetchone()
        for *fields, digits in connection.execute("SELECT * FROM entries"):
            text = json.dumps([previous, *fields], separators=(",", ":"))
            assert hashlib.sha256(text.encode()).hexdigest() == digits
            previous = digits


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    log = AuditLog.open(path)
    assert log._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


def test_files_and_folder_are_the_users_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        log = AuditLog.open(path)
        log.append(entry("a"))
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == [
            "audit.sqlite",
            "audit.sqlite-shm",
            "audit.sqlite-wal",
            "audit.sqlite.lock",
        ]
        assert [_mode(file) for file in files] == [0o600] * 4
        assert _mode(path.parent) == 0o700
        log.close()
        path.chmod(0o644)
        AuditLog.open(path).close()
        assert _mode(path) == 0o600
    finally:
        os.umask(old)


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    write(tmp_path / "audit.sqlite", "a")
    assert _mode(tmp_path) == 0o755


def test_a_second_process_or_log_is_refused_until_the_first_closes(path: Path) -> None:
    log = AuditLog.open(path)
    with pytest.raises(AuditError, match="held by another process"):
        AuditLog.open(path)
    log.append(entry("a"))  # the first is not disturbed
    log.close()
    log.close()
    write(path, "b")
    assert len(bodies(path)) == 2


def test_another_thread_may_close(path: Path) -> None:
    log = AuditLog.open(path)
    thread = threading.Thread(target=log.close)
    thread.start()
    thread.join()
    write(path, "a")


def test_threads_take_turns(path: Path) -> None:
    log = AuditLog.open(path)
    with ThreadPoolExecutor(8) as pool:
        numbers = list(
            pool.map(lambda text: log.append(entry(text), entry(text)), map(str, range(80)))
        )
    log.close()
    assert sorted(number for pair in numbers for number in pair) == list(range(1, 161))
    assert all(second == first + 1 for first, second in numbers)  # one transaction each
    assert verify(path).num_rows == 160


def test_all_entries_or_none(path: Path) -> None:
    log = AuditLog.open(path)
    log.append(entry("a"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        log.append(entry("b"), Entry(kind="asked", body={"figure": float("nan")}))
    assert log.append(entry("c")) == (2,)
    log.close()
    assert [json.loads(body)["question"] for body in bodies(path)] == ["a", "c"]


def test_text_that_utf8_cannot_hold_is_kept_spelt_out(path: Path) -> None:
    log = AuditLog.open(path)
    log.append(Entry(kind="refused", user="a\ud800b", case="\x00", body={"q": "\udfff ገና"}))
    log.close()
    with closing(sqlite3.connect(path)) as connection:
        user, body = connection.execute("SELECT user, body FROM entries").fetchone()
    assert user == "a\\ud800b"
    assert json.loads(body) == {"q": "\udfff ገና"}
    assert verify(path).is_intact


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET user = 'x'",
        "DELETE FROM entries",
        "DELETE FROM entries WHERE number = 2",
        "INSERT OR REPLACE INTO entries SELECT number, '', kind, '', '', '{}', hash FROM entries",
        "INSERT INTO entries SELECT -1, time, kind, 'x', \"case\", body, hash FROM entries LIMIT 1",
        "UPDATE anchors SET number = 5",
        "DELETE FROM anchors",
    ],
)
def test_the_database_itself_refuses_changes(path: Path, statement: str) -> None:
    write(path, "a", "b")
    refused = pytest.raises(sqlite3.IntegrityError, match="of the audit")
    with closing(sqlite3.connect(path)) as connection, refused:
        connection.execute(statement)


def _open_says(path: Path) -> str:
    with pytest.raises(AuditError) as caught:
        AuditLog.open(path)
    return str(caught.value)


def test_what_is_no_audit_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"no database" * 100)
    assert "is no database" in _open_says(text)
    assert text.read_bytes() == b"no database" * 100

    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()
    assert "another program's database" in _open_says(other)

    assert "folder" in _open_says(tmp_path) or "directory" in _open_says(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    said = _open_says(tmp_path / "file" / "audit.sqlite")
    assert said.endswith("cannot be opened: File exists; see that its folder exists and is yours.")


def test_a_newer_layout_is_refused(path: Path) -> None:
    write(path, "a")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    assert "newer tinymed" in _open_says(path)
    with pytest.raises(AuditError, match="newer tinymed"):
        verify(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    assert "another program's database" in _open_says(path)


def test_a_file_that_was_begun_and_killed_is_begun_again(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    write(path, "a")
    assert verify(path).num_rows == 1


def test_a_file_deleted_or_replaced_under_the_server_is_noticed(path: Path) -> None:
    log = AuditLog.open(path)
    log.append(entry("a"))
    path.unlink()
    with pytest.raises(AuditError, match="deleted or replaced"):
        log.append(entry("b"))
    log.close()

    log = AuditLog.open(path)
    log.append(entry("a"))
    path.with_name("audit.sqlite-wal").unlink()
    with pytest.raises(AuditError, match="deleted or replaced"):
        log.append(entry("b"))
    log.close()


def test_a_file_cut_short_under_the_server_is_noticed(path: Path) -> None:
    write(path, *["x" * 2000] * 10)
    log = AuditLog.open(path)
    log.append(entry("a"))
    os.truncate(path, 0)  # as those do that keep logs short
    with pytest.raises(AuditError, match="was cut short while in use"):
        log.append(entry("lost"))
    log.close()


def test_a_link_to_the_audit_is_the_same_audit(path: Path, tmp_path: Path) -> None:
    write(path, "a")
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    log = AuditLog.open(link)
    assert log.append(entry("b")) == (2,)
    with pytest.raises(AuditError, match="held by another process"):
        AuditLog.open(path)
    log.close()
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["link.sqlite"]


def test_an_audit_without_its_origin_is_refused(path: Path) -> None:
    write(path, "a")
    tamper(path, "DELETE FROM anchors", "DELETE FROM entries")
    with (
        closing(AuditLog.open(path)) as log,
        pytest.raises(AuditError, match="origin of its chain was deleted"),
    ):
        log.append(entry("b"))


def test_a_row_that_the_database_swallows_is_not_taken_for_written(path: Path) -> None:
    write(path, "a")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TRIGGER swallow BEFORE INSERT ON entries BEGIN SELECT RAISE(IGNORE); END"
        )
        connection.commit()
    with closing(AuditLog.open(path)) as log, pytest.raises(AuditError, match="changed its tables"):
        log.append(entry("b"))


def test_another_writer_that_does_not_let_go_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymed.serve.audit.store._BUSY_S", 0.05)
    log = AuditLog.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(AuditError, match="another program holds it"):
            log.append(entry("a"))
        connection.execute("ROLLBACK")
        assert log.append(entry("a")) == (1,)
    log.close()


def test_a_damaged_page_is_named(path: Path) -> None:
    write(path, *["x" * 300] * 50)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(AuditError, match="damaged"), closing(AuditLog.open(path)) as log:
        log.append(entry("a"))


def test_a_closed_log_writes_nothing(path: Path) -> None:
    log = AuditLog.open(path)
    log.close()
    with pytest.raises(AuditError, match="cannot be written: Cannot operate on a closed database"):
        log.append(entry("a"))


def test_an_open_that_fails_lets_go_of_the_lock(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    _open_says(path)
    log_module.hold(path).release()


def test_the_audit_lies_in_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYMED_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib/x")
    assert audit_path() == Path("/var/lib/x/tinymed/audit.sqlite")
    monkeypatch.setenv("TINYMED_STATE", "/srv/tinymed")
    assert audit_path() == Path("/srv/tinymed/audit.sqlite")
    monkeypatch.delenv("TINYMED_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ama")
    assert audit_path() == Path("/home/ama/.local/state/tinymed/audit.sqlite")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("TINYMED_STATE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(AuditError, match=r"where to keep the audit, because.*Set TINYMED_STATE to"):
        audit_path()
