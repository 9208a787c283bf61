"""Whoever changes the audit is found out, and the first row that is wrong is named."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from written_audit import entry, tamper, write

from tinymed.serve.audit import store
from tinymed.serve.audit.chain import Head, Row, hash_after
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.audit.verify import Verified, verify

_TEN = [str(number) for number in range(1, 11)]
_COLUMNS = 'time, kind, user, "case", body, hash'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.sqlite"
    write(path, *_TEN)
    return path


def _how(found: Verified) -> tuple[str, int] | None:
    return (found.broken.how, found.broken.number) if found.broken else None


def _swap(first: int, second: int, columns: str = _COLUMNS) -> list[str]:
    return [
        f"CREATE TABLE kept AS SELECT * FROM entries WHERE number IN ({first}, {second})",
        *(
            f"UPDATE entries SET ({columns}) = "
            f"(SELECT {columns} FROM kept WHERE number = {source}) WHERE number = {target}"
            for source, target in ((first, second), (second, first))
        ),
    ]


def _insert_at(number: int) -> list[str]:
    return [
        f"UPDATE entries SET number = -number - 1 WHERE number >= {number}",
        "UPDATE entries SET number = -number WHERE number < 0",
        f"INSERT INTO entries SELECT {number}, {_COLUMNS} FROM entries WHERE number = 5",
    ]


def test_an_untouched_audit_is_intact(path: Path) -> None:
    found = verify(path)
    assert found.is_intact
    assert (found.num_rows, found.first, found.head.number) == (10, 1, 10)
    assert found.purges == found.backwards == ()


@pytest.mark.parametrize(
    ("statements", "how"),
    [
        (["UPDATE entries SET body = '{}' WHERE number = 4"], ("changed", 4)),
        (["UPDATE entries SET user = 'eve' WHERE number = 1"], ("changed", 1)),
        (["UPDATE entries SET time = '2020' WHERE number = 10"], ("changed", 10)),
        (["UPDATE entries SET hash = 'x' WHERE number = 7"], ("changed", 7)),
        (["UPDATE entries SET body = x'ff00' WHERE number = 7"], ("changed", 7)),
        (["UPDATE entries SET user = cast(x'ff' AS TEXT) WHERE number = 7"], ("changed", 7)),
        (["UPDATE entries SET body = x'ff', hash = '' WHERE number = 10"], ("changed", 10)),
        (["UPDATE entries SET kind = 'purged', body = '' WHERE number = 9"], ("changed", 9)),
        (['UPDATE entries SET "case" = kind, kind = "case" WHERE number = 3'], ("changed", 3)),
        (["DELETE FROM entries WHERE number = 5"], ("missing", 5)),
        (["DELETE FROM entries WHERE number IN (5, 6)"], ("missing", 5)),
        (["DELETE FROM entries WHERE number < 4"], ("missing", 1)),
        (_swap(3, 4), ("reordered", 3)),
        (_swap(9, 10), ("reordered", 9)),
        (_swap(2, 8), ("reordered", 2)),
        (_swap(3, 4, "time, kind, user, body"), ("reordered", 3)),
        (_swap(2, 8, "time, kind, user, body"), ("reordered", 2)),
        (_insert_at(6), ("inserted", 6)),
        (_insert_at(1), ("inserted", 1)),
        (_insert_at(10), ("inserted", 10)),
        (_insert_at(11), ("changed", 11)),  # a stranger's row at the end: nothing comes after it
        (
            [f"INSERT INTO entries SELECT 0, {_COLUMNS} FROM entries WHERE number = 2"],
            ("inserted", 0),
        ),
        (["DELETE FROM anchors", "INSERT INTO anchors VALUES (0, 'x')"], ("changed", 1)),
        (
            ["INSERT INTO anchors SELECT number, hash FROM entries WHERE number = 6",
             "DELETE FROM entries WHERE number <= 6"],
            ("missing", 6),
        ),
    ],
)  # fmt: skip
def test_tampering_is_named(path: Path, statements: list[str], how: tuple[str, int]) -> None:
    tamper(path, *statements)
    found = verify(path)
    assert _how(found) == how
    assert found.broken
    assert str(how[1]) in found.broken.detail


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM anchors", "the origin of its chain was deleted"),
        ("DROP TABLE anchors", "somebody changed its tables"),
        ("ALTER TABLE entries RENAME TO hidden", "somebody changed its tables"),
    ],
)
def test_tables_that_are_not_as_they_were_made_are_told_of(
    path: Path, statement: str, said: str
) -> None:
    tamper(path, statement)
    with pytest.raises(AuditError, match=said):
        verify(path)


@pytest.mark.parametrize("body", ["no JSON", "[]", "[" * 100_000])
def test_a_strangers_row_that_says_rows_were_purged_is_no_defect(path: Path, body: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (previous,) = connection.execute("SELECT hash FROM entries WHERE number = 10").fetchone()
        row = Row(number=11, time="2026", kind="purged", user="", case="", body=body)
        connection.execute(
            "INSERT INTO entries VALUES (11, '2026', 'purged', '', '', ?, ?)",
            (body, hash_after(previous, row)),
        )
        connection.commit()
    assert verify(path).purges == (11,)


def test_a_cut_end_shows_only_beside_a_noted_head(path: Path) -> None:
    noted = verify(path).head
    assert verify(path, noted=noted).is_compared
    tamper(path, "DELETE FROM entries WHERE number > 7")
    assert verify(path).is_intact
    assert not verify(path).is_compared
    assert _how(verify(path, noted=noted)) == ("cut", 8)


def test_a_chain_computed_anew_shows_only_beside_a_noted_head(path: Path) -> None:
    noted = verify(path).head
    tamper(path, "UPDATE entries SET user = 'eve' WHERE number = 6")
    with closing(sqlite3.connect(path)) as connection:
        rows = list(store.read_rows(connection))
        previous = rows[4].hash
        for row in rows[5:]:
            previous = hash_after(previous, row)
            connection.execute(
                "UPDATE entries SET hash = ? WHERE number = ?", (previous, row.number)
            )
        connection.commit()
    assert verify(path).is_intact
    assert _how(verify(path, noted=noted)) == ("changed", 10)


def test_an_older_head_still_fits(path: Path) -> None:
    noted = verify(path).head
    write(path, "more")
    found = verify(path, noted=noted)
    assert found.is_intact
    assert found.is_compared
    assert found.head.number == 11


def test_a_clock_that_went_back_is_told_and_is_no_break(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "stamp", lambda moment: "2001-01-01T00:00:00.000Z")
    write(path, "early")
    monkeypatch.undo()
    write(path, "late")
    found = verify(path)
    assert found.is_intact
    assert found.backwards == (11,)


def test_beside_a_running_server_and_on_a_copy(path: Path, tmp_path: Path) -> None:
    log = AuditLog.open(path)
    log.append(entry("live"))
    assert verify(path).num_rows == 11
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("audit.sqlite*"):
        shutil.copy(file, copy)
    assert verify(copy / "audit.sqlite").num_rows == 11
    log.append(entry("after"))
    log.close()
    assert verify(path).num_rows == 12


def test_nothing_is_changed_by_looking(path: Path) -> None:
    before = path.read_bytes(), path.stat().st_mtime_ns
    verify(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    wal = path.with_name("audit.sqlite-wal")  # SQLite's own, to share the file with a writer
    assert not wal.exists() or not wal.read_bytes()


def test_on_a_medium_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    mount = tmp_path / "stick"
    mount.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "none", mount], capture_output=True, check=False
    ).returncode:
        pytest.skip("no right to mount a file system here")
    try:
        shutil.copy(path, mount)
        with closing(AuditLog.open(path)) as log:
            log.append(entry("not in the file itself yet"))
            for kind in ("", "-wal"):
                shutil.copy(f"{path}{kind}", f"{mount}/killed.sqlite{kind}")
        (tmp_path / "link.sqlite").symlink_to(mount / "killed.sqlite")
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        assert verify(mount / path.name).num_rows == 10
        for killed in (mount / "killed.sqlite", tmp_path / "link.sqlite"):
            with pytest.raises(AuditError, match="cannot be read"):
                verify(killed)
        with pytest.raises(AuditError, match="Read-only"):
            AuditLog.open(mount / path.name)
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_damaged_file_is_said_to_be_damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 + 8 : 4096 + 200] = b"\xff" * 192
    path.write_bytes(content)
    found = verify(path)
    assert _how(found) == ("damaged", 0)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AuditError, match="damaged"):
        verify(path)


def test_what_is_no_audit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="no audit at"):
        verify(tmp_path / "none.sqlite")
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    with pytest.raises(AuditError, match="is empty"):
        verify(empty)
    text = tmp_path / "text"
    text.write_text("words" * 1000)
    with pytest.raises(AuditError, match="is no database"):
        verify(text)


def test_no_two_rows_are_hashed_alike() -> None:
    row = {"number": 1, "time": "t", "kind": "asked", "body": "{}"}
    one = hash_after("0", Row(user='a","b', case="", **row))
    two = hash_after("0", Row(user="a", case="b", **row))
    three = hash_after("0", Row(user="ab", case="", **row))
    assert len({one, two, three}) == 3


def test_a_head_is_read_as_it_is_written(path: Path) -> None:
    found = verify(path).head
    assert Head.parse(str(found)) == found
    grouped = " ".join(found.hash[at : at + 8].upper() for at in range(0, 64, 8))
    assert Head.parse(f"{found.number}: {grouped}\n") == found  # as people write it down
    for text in ("", "12", "x:" + "0" * 64, "12:zz", "12:00"):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever its text
            Head.parse(text)
