"""What the machine says of its memory, and a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hardware.made_up_machine import write_tree

from tinymed.hardware.memory import (
    begin_peak_anew,
    machine_memory,
    peak_memory_mib,
    process_memory,
)

NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")

MEMINFO = "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\nSwapTotal: 1024 kB\n"


def test_peak_memory_grows_with_what_is_held() -> None:
    before = peak_memory_mib()
    held = bytearray(b"x") * (200 << 20)
    after = peak_memory_mib()
    assert before is not None
    assert after is not None
    assert after > 200
    assert len(held) == 200 << 20


@NEEDS_LINUX
def test_systems_without_proc_are_asked_otherwise(tmp_path: Path) -> None:
    here = peak_memory_mib()
    there = peak_memory_mib(root=tmp_path)
    assert here is not None
    assert there is not None
    # The parent's peak may be counted in, never less than this process's own.
    assert there > 0.9 * here
    assert peak_memory_mib(os.getpid(), root=tmp_path) is None


@NEEDS_LINUX
def test_a_peak_that_begins_anew_forgets_what_is_no_longer_held() -> None:
    held = bytearray(b"x") * (300 << 20)
    del held
    high = peak_memory_mib()
    assert begin_peak_anew()
    low = peak_memory_mib()
    assert high is not None
    assert low is not None
    assert low < high - 200


def test_where_a_peak_cannot_begin_anew_it_is_said(tmp_path: Path) -> None:
    assert not begin_peak_anew(root=tmp_path)


@NEEDS_LINUX
def test_a_process_tells_what_it_holds_of_its_own_and_shares() -> None:
    before = process_memory()
    held = bytearray(b"x") * (100 << 20)
    after = process_memory()
    assert before.resident_mib
    assert before.proportional_mib
    assert before.anonymous_mib
    # Libraries that other processes have loaded as well count in part only.
    assert before.proportional_mib < before.resident_mib
    for name in ("resident_mib", "proportional_mib", "anonymous_mib"):
        grown = getattr(after, name) - getattr(before, name)
        assert 90 < grown < 120, name
    assert len(held) == 100 << 20


@NEEDS_LINUX
def test_another_process_is_asked_by_its_number() -> None:
    program = "held = bytearray(b'x') * (80 << 20); print('', flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = process_memory(child.pid)
        peak = peak_memory_mib(child.pid)
        child.communicate(b"\n")
    assert found.anonymous_mib is not None
    assert peak is not None
    assert 80 < found.anonymous_mib < peak
    assert process_memory(child.pid).resident_mib is None


@NEEDS_LINUX
def test_a_machine_tells_its_memory_in_bytes(tmp_path: Path) -> None:
    memory = machine_memory(root=write_tree(tmp_path, {"proc/meminfo": MEMINFO}))
    assert memory.total_bytes == 16 * 2**30
    assert memory.available_bytes == 8 * 2**30
    assert memory.swap_bytes == 2**20
    assert (memory.limit_bytes, memory.usable_bytes) == (None, 16 * 2**30)


@NEEDS_LINUX
def test_a_containers_limit_is_what_may_be_used(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": f"{2 * 2**30}\n",
        "sys/fs/cgroup/memory.current": f"{2**30}\n",
        "sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {2**29}\n",
    }
    memory = machine_memory(root=write_tree(tmp_path, files))
    assert memory.usable_bytes == memory.limit_bytes == 2 * 2**30
    # Pages of files that can be dropped are free for who needs them.
    assert memory.available_bytes == 2**30 + 2**29


@NEEDS_LINUX
def test_without_proc_the_kernel_still_tells_the_total_and_nothing_is_guessed(
    tmp_path: Path,
) -> None:
    memory = machine_memory(root=tmp_path)
    assert memory.total_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (memory.available_bytes, memory.swap_bytes) == (None, None)
    assert process_memory(root=tmp_path).resident_mib is None


def test_other_systems_are_asked_through_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    memory = machine_memory()
    assert memory.total_bytes
    assert memory.available_bytes
    assert memory.available_bytes < memory.total_bytes
    held = process_memory()
    assert held.resident_mib
    assert (held.proportional_mib, held.anonymous_mib) == (None, None)
    assert process_memory(2**22 + 1).resident_mib is None
