"""What this machine has, and what this process takes of it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

_PROCESS_STATUS = Path("/proc/self/status")
_PROCESSORS = Path("/sys/devices/system/cpu")


def physical_cores() -> int:
    """Cores that this process may run on; the two threads of a core count as one.

    Where the system does not tell cores from threads, every thread counts.
    """
    try:
        allowed = os.sched_getaffinity(0)
        cores = {
            (_PROCESSORS / f"cpu{number}/topology/thread_siblings_list").read_text("ascii")
            for number in allowed
        }
    except (OSError, AttributeError):  # not Linux, or a sandbox
        return os.cpu_count() or 1
    return len(cores)


def peak_memory_mib() -> float | None:
    """Most memory this process has held at once, in MiB (2**20 bytes).

    Resident set size: VmHWM on Linux, `ru_maxrss` on other Unix systems. Child processes
    are not counted.

    Returns:
        None where the system does not say.
    """
    try:
        status = _PROCESS_STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return _peak_from_getrusage()
    for line in status.splitlines():
        # VmHWM starts anew with each program; ru_maxrss would keep the parent's peak.
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return _peak_from_getrusage()


def _peak_from_getrusage() -> float | None:
    try:
        resource = importlib.import_module("resource")
    except ModuleNotFoundError:
        return None
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # macOS counts in bytes, every other system in KiB.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
