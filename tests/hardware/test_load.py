"""What others use while something is measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.hardware.made_up_machine import put_nvml, write_tree

from tinymed.hardware import load
from tinymed.hardware.load import Watch, used_by_others

NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")

SPIN = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes Linux's counters, in ticks of a hundredth second; this process uses nothing."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(load.os, "sysconf", lambda _name: 100)
    monkeypatch.setattr(load, "_own_seconds", lambda: 0.0)

    def write(*, user: int, idle: int, stolen: int) -> None:
        # The last two are guests' and in the user's already.
        line = f"cpu  {user} 0 0 {idle} 0 0 0 {stolen} {user} {user}\ncpu0 1 2 3\n"
        write_tree(tmp_path, {"proc/stat": line})

    return write


def test_shares_are_of_all_processors_time(stat: Callable[..., None], tmp_path: Path) -> None:
    stat(user=1000, idle=5000, stolen=70)
    watch = Watch(root=tmp_path)
    watch.start()
    stat(user=1030, idle=5060, stolen=80)
    found = watch.stop()
    assert found.used_by_others == pytest.approx(0.30)
    assert found.stolen == pytest.approx(0.10)
    assert found.is_busy
    assert found.throttled is None


def test_what_this_process_uses_is_not_others(
    stat: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = iter([7.0, 7.9])
    monkeypatch.setattr(load, "_own_seconds", lambda: next(own))
    stat(user=0, idle=0, stolen=0)
    with Watch(root=tmp_path) as watch:
        stat(user=100, idle=100, stolen=0)
    assert watch.load.used_by_others == pytest.approx(0.05)
    assert not watch.load.is_busy


def test_children_are_this_process_while_they_run_and_after_they_ended() -> None:
    def of_children() -> float:
        return load._own_seconds() - sum(os.times()[:2])

    before, running = of_children(), 0.0
    with subprocess.Popen([sys.executable, "-c", SPIN + "\ninput()"], stdin=subprocess.PIPE) as one:
        end = time.monotonic() + 30
        while running < 0.35 and time.monotonic() < end:
            time.sleep(0.05)
            running = of_children() - before
        one.communicate(b"\n")
    ended = of_children() - before
    assert 0.35 <= running < 2  # the system counts in whole ticks
    assert running - 0.05 < ended < running + 0.5


@NEEDS_LINUX
def test_another_processs_work_is_seen() -> None:
    """A process that this one did not start: its parent has ended."""
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SPIN!r}])"
    with Watch() as watch:
        subprocess.run([sys.executable, "-c", program], check=True)
        time.sleep(1.0)
    found = watch.load
    assert found.used_by_others is not None
    num_processors = psutil.cpu_count() or 1
    assert found.used_by_others * found.seconds * num_processors > 0.3


def test_a_slow_down_for_heat_is_seen(stat: Callable[..., None], tmp_path: Path) -> None:
    stat(user=0, idle=0, stolen=0)
    counter = "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"
    write_tree(tmp_path, {counter: "3\n"})
    watch = Watch(root=tmp_path)
    watch.start()
    assert watch.stop().throttled is False
    write_tree(tmp_path, {counter: "4\n"})
    assert watch.stop().throttled is True


def test_a_gpu_that_was_slowed_at_either_end_was_slowed(
    stat: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml = put_nvml(monkeypatch)
    stat(user=0, idle=0, stolen=0)
    nvml.reasons = 0x40
    with Watch(root=tmp_path) as watch:
        nvml.reasons = 0
    assert watch.load.throttled is True
    with Watch(root=tmp_path) as watch:
        pass
    assert watch.load.throttled is False


@NEEDS_LINUX
def test_without_proc_nothing_is_guessed(tmp_path: Path) -> None:
    assert used_by_others(0.01, root=tmp_path) is None
    with Watch(root=tmp_path) as watch:
        pass
    assert (watch.load.used_by_others, watch.load.stolen) == (None, None)
    assert not watch.load.is_busy


@NEEDS_LINUX
def test_other_systems_are_asked_through_psutil(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_proc = load._all_times(Path("/"))
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    from_psutil = load._all_times(tmp_path)
    assert from_proc is not None
    assert from_psutil is not None
    # The two were read at slightly different times, and what waits for a disk is idle in one.
    assert from_psutil.total == pytest.approx(from_proc.total, rel=0.05)
    assert from_psutil.busy == pytest.approx(from_proc.busy, rel=0.05)
    assert used_by_others(0.1, root=tmp_path) is not None


def test_a_watch_that_was_not_started_is_a_defect() -> None:
    with pytest.raises(RuntimeError, match="must be started"):
        Watch().stop()
