"""What the process says of its own memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinymed import hardware
from tinymed.hardware import peak_memory_mib


def test_peak_memory_grows_with_what_is_held() -> None:
    before = peak_memory_mib()
    held = bytearray(b"x") * (200 << 20)
    after = peak_memory_mib()
    assert before is not None
    assert after is not None
    assert after > 200
    assert len(held) == 200 << 20


def test_systems_without_proc_are_asked_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    here = peak_memory_mib()
    monkeypatch.setattr(hardware, "_PROCESS_STATUS", Path("/nowhere"))
    there = peak_memory_mib()
    assert here is not None
    assert there is not None
    # The parent's peak may be counted in, never less than this process's own.
    assert there > 0.9 * here
