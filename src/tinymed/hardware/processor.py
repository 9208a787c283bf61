"""The processor: its cores, and the instructions it knows."""

from __future__ import annotations

import os
from pathlib import Path

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
