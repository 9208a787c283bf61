"""What the process says of its own memory and of the processor."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tinymed import hardware
from tinymed.hardware import peak_memory_mib, physical_cores


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


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /sys")
def test_two_threads_of_a_core_are_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{siblings}\n")
    monkeypatch.setattr(hardware, "_PROCESSORS", tmp_path)
    for allowed, cores in (({0, 1, 2, 3}, 2), ({0, 2}, 1), ({3}, 1)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _process, found=allowed: found)
        assert physical_cores() == cores


def test_where_cores_are_not_told_every_thread_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_PROCESSORS", Path("/nowhere"))
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert physical_cores() == 7
