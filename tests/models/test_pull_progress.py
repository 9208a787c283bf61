"""Bytes on stderr: a bar on a terminal, plain lines elsewhere, nothing where none is wanted."""

from __future__ import annotations

import sys

import pytest

from tinymed.models.transfer import byte_progress
from tinymed.models.transfer.byte_progress import ByteProgress

MIB = 1 << 20


def test_a_file_gets_a_plain_line_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(byte_progress.time, "monotonic", lambda: now[0])
    with ByteProgress("nano", total=110 * MIB, done=10 * MIB) as counted:
        for _ in range(20):
            now[0] += 1.0
            counted.add(MIB)
    # Ten MiB took ten seconds: those that were here before are not counted as speed.
    assert capsys.readouterr().err.splitlines() == [
        "nano: 20.0 of 110.0 MiB, 1.00 MiB/s, 01:30 left",
        "nano: 30.0 of 110.0 MiB, 1.00 MiB/s, 01:20 left",
    ]


def test_bytes_that_were_thrown_away_are_taken_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(byte_progress.time, "monotonic", lambda: now[0])
    with ByteProgress("nano", total=100 * MIB, done=50 * MIB) as counted:
        counted.set_done(0)
        now[0] += 10.0
        counted.add(MIB)
    assert capsys.readouterr().err == "nano: 1.0 of 100.0 MiB, 0.10 MiB/s, 16:30 left\n"


@pytest.mark.parametrize("shown", [True, False])
def test_a_terminal_gets_a_bar_with_speed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, shown: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with ByteProgress("nano", total=2 * MIB, shown=shown) as counted:
        counted.add(2 * MIB)
    error = capsys.readouterr().err
    assert ("nano: 100%" in error and "2.00M/2.00M" in error) is shown
    assert bool(error) is shown
