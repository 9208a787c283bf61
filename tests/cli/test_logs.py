"""tinymed logs: verify, export and purge from the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import RunCli

from tinymed.serve.audit import export as export_module
from tinymed.serve.audit import store
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.log import AuditLog


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's audit: an old row and two of now."""
    monkeypatch.setenv("TINYMED_STATE", str(tmp_path / "state"))
    path = tmp_path / "state" / "audit.sqlite"
    log = AuditLog.open(path)
    with monkeypatch.context() as patched:
        patched.setattr(store, "stamp", lambda moment: "2020-01-01T00:00:00.000Z")
        log.append(Entry(kind="asked", user="ama", case="c1", body={"question": "old?"}))
    log.append(Entry(kind="asked", user="ama", case="c2", body={"question": "new?"}))
    log.append(Entry(kind="signed-in", user="eve"))
    log.close()
    return path


def test_verify_prints_a_head_that_it_takes_back(audit: Path, cli: RunCli) -> None:
    outcome = cli("logs", "verify")
    assert outcome.code == 0
    assert outcome.out.startswith(f"{audit}: 3 rows follow each other\nhead: 3:")
    head = outcome.out.split("head: ")[1].strip()
    row = json.loads(cli("logs", "verify", "--json", "--head", head).out)
    assert row["is_intact"]
    assert row["is_compared"]
    assert (row["num_rows"], row["head"]) == (3, head)


def test_verify_names_what_is_broken_and_exits_with_2(audit: Path, cli: RunCli) -> None:
    with closing(sqlite3.connect(audit)) as connection:
        connection.execute("DROP TRIGGER entries_are_not_changed")
        connection.execute("UPDATE entries SET user = 'x' WHERE number = 2")
        connection.commit()
    outcome = cli("logs", "verify", "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["broken"]["number"] == 2
    assert outcome.err.startswith(f"error: The audit '{audit}' is broken: Row 2 is not what was")


def test_verify_refuses_what_is_no_head(audit: Path, cli: RunCli) -> None:
    outcome = cli("logs", "verify", "--head", "abc")
    assert outcome.code == 2
    assert "'abc' is no head" in outcome.err


def test_without_an_audit_one_sentence(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINYMED_STATE", str(tmp_path))
    for words in (["verify"], ["export"], ["purge", "--older-than", "1d", "--yes"]):
        outcome = cli("logs", *words)
        assert outcome.code == 2
        assert outcome.err == (
            f"error: There is no audit at '{tmp_path / 'audit.sqlite'}': name one with --file.\n"
        )


def test_export_streams_json_lines(audit: Path, cli: RunCli) -> None:
    outcome = cli("logs", "export", "--kind", "asked", "--since", "2021-01-01")
    (row,) = [json.loads(line) for line in outcome.out.splitlines()]
    assert row["body"] == {"question": "new?"}


def test_export_writes_a_private_file_once(audit: Path, cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    words = ["logs", "export", "--csv", "--out", str(out), "--json"]
    assert json.loads(cli(*words).out) == {"out": str(out), "num_rows": 3}
    with out.open(newline="", encoding="utf-8-sig") as file:
        assert [row["user"] for row in csv.DictReader(file)] == ["ama", "ama", "eve"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    outcome = cli(*words)
    assert outcome.code == 2
    assert "Name a new file" in outcome.err


def test_export_that_fails_leaves_no_file(audit: Path, cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    assert cli("logs", "export", "--kind", "none", "--out", str(out)).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_export_has_its_name_only_once_it_is_whole(
    audit: Path, cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.jsonl"
    (tmp_path / "rows.jsonl.partial").write_text("left by one that was killed")
    seen = []
    whole = export_module.export

    def watched(*arguments: Any, **named: Any) -> int:
        seen.append(out.exists())
        return whole(*arguments, **named)

    monkeypatch.setattr(export_module, "export", watched)
    assert cli("logs", "export", "--out", str(out)).code == 0
    assert seen == [False]
    assert len(out.read_text().splitlines()) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl", "state"]


def test_csv_has_every_letter_on_a_terminal_of_few_and_in_a_file(
    audit: Path, cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog.open(audit)
    log.append(Entry(kind="verdict", case="c", body={"answer": "q", "reason": "Há ምንድን"}))
    log.close()
    words = ["logs", "export", "--kind", "verdict", "--csv"]
    printed = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(printed, "cp1252", newline="\r\n"))
        assert cli(*words).code == 0
        sys.stdout.flush()
        content = printed.getvalue()
        assert "Há ምንድን".encode() in content
        assert b"\r\r" not in content
        file = tmp_path / "rows.csv"
        assert cli(*words, "--out", str(file)).code == 0
        assert file.read_bytes() == b"\xef\xbb\xbf" + content  # or Excel guesses


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "--json"], "add --out"),
        (["export", "--since", "yesterday"], "write a day such as"),
        (["export", "--since", "0001-01-01T00:00+14:00"], "write a day such as"),
        (["purge", "--older-than", "90"], "such as 90d"),
        (["purge", "--older-than", "90d", "--json"], "add --yes"),
    ],
)
def test_what_does_not_fit_is_refused(
    audit: Path, cli: RunCli, words: list[str], said: str
) -> None:
    outcome = cli("logs", *words)
    assert outcome.code == 2
    assert said in outcome.err


def test_purge_asks_for_the_number_of_rows(
    audit: Path, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.prompt", lambda *_, **__: "yes")
    outcome = cli("logs", "purge", "--older-than", "90d")
    assert outcome.code == 2
    assert "Nothing was deleted" in outcome.err
    assert json.loads(cli("logs", "verify", "--json").out)["num_rows"] == 3

    monkeypatch.setattr("click.prompt", lambda *_, **__: "1")
    outcome = cli("logs", "purge", "--older-than", "90d")
    assert (outcome.code, outcome.out) == (0, f"{audit}: 1 rows deleted\n")
    verified = cli("logs", "verify")
    assert "3 rows follow each other from row 2 on" in verified.out
    assert "older rows were purged: see row 4" in verified.out


def test_purge_with_yes_prints_json(audit: Path, cli: RunCli) -> None:
    words = ["logs", "purge", "--older-than", "90d", "--yes", "--json"]
    told = {"file": str(audit), "num_held_back": 0}
    assert json.loads(cli(*words).out) == told | {"num_rows": 1}
    assert json.loads(cli(*words).out) == told | {"num_rows": 0}


def test_purge_says_what_a_wrong_clock_keeps(
    audit: Path, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog.open(audit)
    with monkeypatch.context() as patched:
        patched.setattr(store, "stamp", lambda moment: "2020-01-02T00:00:00.000Z")
        log.append(Entry(kind="signed-in", user="eve"))
    log.close()
    outcome = cli("logs", "purge", "--older-than", "90d", "--yes")
    assert (
        "1 rows deleted\n1 older rows stay, since rows go in order and row 2 before" in outcome.out
    )


def test_purge_by_a_user_without_a_name(
    audit: Path, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert cli("logs", "purge", "--older-than", "90d", "--yes").code == 0
    purged = json.loads(cli("logs", "export", "--kind", "purged").out)
    assert purged["user"] == str(os.getuid())
