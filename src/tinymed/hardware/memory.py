"""The memory that this process takes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_PROCESS_STATUS = Path("/proc/self/status")


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
