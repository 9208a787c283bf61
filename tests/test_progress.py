"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys

import pytest

from tinymed import progress
from tinymed.progress import Progress


def test_a_file_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("model", total=3, done=1) as counted:
        counted.step()
        counted.step()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "model: 3 of 3 questions, 00:00 left\n"


def test_a_long_run_says_now_and_then_how_long_it_will_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("blank", total=110, done=10) as counted:
        for _ in range(20):
            now[0] += 1.0
            counted.step()
    # Ten questions took ten seconds: those done before the start are not counted as speed.
    assert capsys.readouterr().err.splitlines() == [
        "blank: 20 of 110 questions, 01:30 left",
        "blank: 30 of 110 questions, 01:20 left",
    ]


def test_a_terminal_gets_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("model", total=2, done=0) as counted:
        counted.step(2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "model: 100%" in shown.err
    assert "2/2" in shown.err
