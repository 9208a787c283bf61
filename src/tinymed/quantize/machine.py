"""The machine a comparison ran on, as far as answers depend on it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_PROCESSOR_FILE = Path("/proc/cpuinfo")
_LIMIT_FILE = Path("/sys/fs/cgroup/memory.max")

INSTRUCTIONS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "sve",
)
"""Instruction sets that engines choose their kernels by: other kernels sum in another order
and multiply in another precision."""


def machine() -> dict[str, str]:
    """Processor, instruction sets, number of processors and system, each as text."""
    try:
        text = _PROCESSOR_FILE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    found = set(flags[1].split()) if flags else set()
    return {
        "processor": model[1].strip() if model else platform.processor() or "not told",
        "instructions": " ".join(one for one in INSTRUCTIONS if one in found) or "not told",
        "processors": str(os.cpu_count() or "not told"),
        "system": f"{platform.system()} {platform.machine()}",
    }


def memory_bytes() -> int | None:
    """Memory that this process may take: the machine's, or its control group's limit.

    Returns:
        None where the system does not say.
    """
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        limit = _LIMIT_FILE.read_text(encoding="ascii").strip()
    except OSError:
        return whole
    return min(whole, int(limit)) if limit.isdigit() else whole
