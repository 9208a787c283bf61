"""The memory this machine has, and what a process takes of it."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.hardware.control_group import group_limits

_KIB = 2**10
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineMemory:
    """Memory of the machine in bytes; None where the system does not say."""

    total_bytes: int | None
    available_bytes: int | None
    """That programs can still take without swapping, the control group's limit heeded."""
    swap_bytes: int | None
    limit_bytes: int | None
    """Of this process's control group; None where there is none."""

    @property
    def usable_bytes(self) -> int | None:
        """Most that a process may ever hold: the machine's memory, or the group's limit."""
        return _smaller(self.total_bytes, self.limit_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMemory:
    """What a process holds now, in MiB (2**20 bytes); None where the system does not say."""

    resident_mib: float | None
    """Resident set: what lies in memory, files' pages included."""
    proportional_mib: float | None
    """The same, with pages that several processes share divided among them (Linux's PSS)."""
    anonymous_mib: float | None
    """Of the resident set, what is no file's: it cannot be dropped."""


def machine_memory(*, root: Path = Path("/")) -> MachineMemory:
    """How much memory there is, and how much of it is left.

    Args:
        root: Folder that holds `proc` and `sys`; another in tests.
    """
    told = _from_linux(root) if platform.system() == "Linux" else _from_psutil()
    limits = group_limits(root=root)
    total, available, swap = told
    return MachineMemory(
        total_bytes=total,
        available_bytes=_smaller(available, limits.memory_left_bytes),
        swap_bytes=swap,
        limit_bytes=limits.memory_bytes,
    )


def process_memory(process: int | None = None, *, root: Path = Path("/")) -> ProcessMemory:
    """What a process holds: this one, or another by its number.

    Everything is None for one that is gone or that this user may not look at.
    """
    if platform.system() != "Linux":
        info = _psutil_info(process)
        resident = None if info is None else info.rss / _MIB
        return ProcessMemory(resident_mib=resident, proportional_mib=None, anonymous_mib=None)
    folder = root / "proc" / _name(process)
    status = _fields(folder / "status")
    return ProcessMemory(
        resident_mib=status.get("VmRSS"),
        proportional_mib=_fields(folder / "smaps_rollup").get("Pss"),
        anonymous_mib=status.get("RssAnon"),
    )


def peak_memory_mib(process: int | None = None, *, root: Path = Path("/")) -> float | None:
    """Most memory a process has held at once, in MiB (2**20 bytes).

    Resident set size: VmHWM on Linux, the peak working set on Windows, `ru_maxrss` on other Unix
    systems. Child processes are not counted.

    Args:
        process: Its number; None for this one.
        root: Folder that holds `proc`; another in tests.

    Returns:
        None where the system does not say.
    """
    # VmHWM starts anew with each program; ru_maxrss would keep the parent's peak.
    peak = _fields(root / "proc" / _name(process) / "status").get("VmHWM")
    if peak is not None:
        return peak
    if platform.system() == "Windows":
        info = _psutil_info(process)
        return None if info is None else float(info.peak_wset) / _MIB
    return _peak_from_getrusage() if process is None else None


def begin_peak_anew(process: int | None = None, *, root: Path = Path("/")) -> bool:
    """Have the peak begin at what is resident now, so that what comes later can be told.

    Returns:
        False where the system cannot do it: only Linux can, and a sandbox may forbid it.

    Source:
        Documentation/filesystems/proc.rst of the Linux kernel: 5 in /proc/PID/clear_refs.
    """
    path = root / "proc" / _name(process) / "clear_refs"
    if not path.exists():
        return False
    try:
        path.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _name(process: int | None) -> str:
    return "self" if process is None else str(process)


def _fields(path: Path) -> dict[str, float]:
    """Lines such as "VmRSS:  1234 kB" of a file in /proc, in MiB."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines if line.endswith(" kB")]
    return {word[0].removesuffix(":"): int(word[1]) / 1024 for word in words}


def _from_linux(root: Path) -> tuple[int | None, int | None, int | None]:
    """Total, available and swap in bytes."""
    told = {name: int(mib * _MIB) for name, mib in _fields(root / "proc/meminfo").items()}
    if told:
        return told.get("MemTotal"), told.get("MemAvailable"), told.get("SwapTotal")
    try:  # asks the kernel, not /proc
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None, None
    except (ValueError, OSError):
        return None, None, None


def _from_psutil() -> tuple[int | None, int | None, int | None]:
    import psutil

    memory = psutil.virtual_memory()
    return memory.total, memory.available, psutil.swap_memory().total


def _psutil_info(process: int | None) -> Any:
    import psutil

    try:
        return psutil.Process(process).memory_info()
    except psutil.Error:
        return None


def _peak_from_getrusage() -> float | None:
    try:
        resource = importlib.import_module("resource")
    except ModuleNotFoundError:
        return None
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # macOS counts in bytes, every other system in KiB.
    return peak / _MIB if sys.platform == "darwin" else peak / _KIB


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((number for number in (one, other) if number is not None), default=None)
