"""`tinymed users`: who may sign in."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tinymed.serve.access import users as users_module
from tinymed.serve.access.passwords import dummy_hash, is_password
from tinymed.serve.access.users import add_user, read_users

if TYPE_CHECKING:
    from tests.conftest import RunCli

PASSWORD = "long enough for anybody"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users.json"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add users without scrypt's time."""
    monkeypatch.setattr(users_module, "hash_password", lambda password: dummy_hash())


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str) -> list[dict[str, object]]:
    """Answer the prompts; how each was asked."""
    asked: list[dict[str, object]] = []
    answers = iter(lines)

    def prompt(text: str, **options: object) -> str:
        asked.append(options)
        return next(answers)

    monkeypatch.setattr(click, "prompt", prompt)
    return asked


def test_a_password_is_asked_for_twice_and_not_shown(
    cli: RunCli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = type_in(monkeypatch, PASSWORD, PASSWORD)
    outcome = cli("users", "add", "amina", "--file", str(file))
    assert outcome.code == 0
    assert outcome.out == f"amina can sign in to: tinymed serve --users {file}\n"
    assert [options["hide_input"] for options in asked] == [True, True]
    assert is_password(PASSWORD, read_users(file)["amina"])


def test_two_passwords_that_differ_add_nobody(
    cli: RunCli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, PASSWORD, PASSWORD + "x")
    outcome = cli("users", "add", "amina", "--file", str(file))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "error: The two passwords differ: run the command again.\n"
    assert not file.exists()


def test_a_password_comes_from_standard_input(
    cli: RunCli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{PASSWORD}\n".encode())))
    outcome = cli("users", "add", "amina", "--file", str(file), "--password-stdin", "--json")
    assert json.loads(outcome.out) == {"added": "amina", "file": str(file)}
    assert is_password(PASSWORD, read_users(file)["amina"])


@pytest.mark.parametrize("text", ["", "\n", "123456789\n"])
def test_a_short_password_is_refused(
    cli: RunCli, file: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    outcome = cli("users", "add", "amina", "--file", str(file), "--password-stdin")
    assert outcome.code == 2
    assert outcome.err.endswith("choose one of 10 or more.\n")
    assert not file.exists()


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_password_that_is_no_text_is_one_sentence(
    cli: RunCli, file: Path, monkeypatch: pytest.MonkeyPatch, errors: str
) -> None:
    """Which of the two Python reads standard input by hangs on the locale."""
    given = io.BytesIO(b"\xff\xfe" * 10 + b"\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given, "utf-8", errors))
    outcome = cli("users", "add", "amina", "--file", str(file), "--password-stdin")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: The password is no text in UTF-8: ")
    assert not file.exists()


def test_names_are_listed(cli: RunCli, file: Path, quick: None) -> None:
    for name in ("joão", "amina"):
        add_user(file, name, PASSWORD)
    assert cli("users", "list", "--file", str(file)).out == "amina\njoão\n"
    row = json.loads(cli("users", "list", "--file", str(file), "--json").out)
    assert row == {"users": ["amina", "joão"]}


def test_a_user_is_removed(cli: RunCli, file: Path, quick: None) -> None:
    add_user(file, "amina", PASSWORD)
    outcome = cli("users", "remove", "amina", "--file", str(file))
    assert (outcome.code, outcome.out) == (0, "amina can no longer sign in.\n")
    outcome = cli("users", "remove", "amina", "--file", str(file), "--json")
    assert outcome.code == 2
    assert outcome.err == f"error: There is no user 'amina' in '{file}'. There: nobody.\n"


def test_a_file_that_is_missing_is_not_made_by_looking(cli: RunCli, file: Path) -> None:
    for arguments in (["list"], ["remove", "amina"]):
        outcome = cli("users", *arguments, "--file", str(file))
        assert outcome.code == 2
        assert outcome.err.startswith(f"error: Cannot read the users file '{file}'")
    assert not file.exists()
