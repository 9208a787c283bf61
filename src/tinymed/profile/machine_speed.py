"""How fast this machine is: measured in two or three seconds, and remembered for plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tinymed.hardware.bandwidth import float32_gflop_per_s, median_s, read_gb_per_s
from tinymed.hardware.load import Watch
from tinymed.hardware.memory import machine_memory
from tinymed.hardware.processor import read_processor
from tinymed.hardware.speed import MachineSpeed
from tinymed.models.cache import cache_folder
from tinymed.runs import write_json

INT8_PRODUCT = (608, 2048, 5632)
"""Tokens, columns and rows of the 8-bit product: a prefill's largest."""

NUM_PROBES = 3
_READING, _MULTIPLYING = 0.6, 0.2
"""Shares of the time."""


def measure_machine(
    *, seconds: float = 2.4, step: Callable[[], None] = lambda: None
) -> MachineSpeed:
    """Read memory and multiply on all cores.

    Args:
        seconds: About how long; each probe makes some passes all the same, on a slow machine or
            where little time is given.
        step: Called after each of NUM_PROBES probes.
    """
    processor = read_processor()
    threads = min(processor.cores, processor.threads)
    with Watch() as watch:
        read = read_gb_per_s(
            threads,
            free_bytes=machine_memory().available_bytes,
            cache_bytes=processor.level3_bytes or processor.level2_bytes,
            seconds=seconds * _READING,
        )
        step()
        float32 = float32_gflop_per_s(threads, seconds=seconds * _MULTIPLYING)
        step()
        int8 = _int8_gop_per_s(threads, seconds=seconds * _MULTIPLYING)
        step()
    return MachineSpeed(
        read_gb_per_s=read,
        float32_gflop_per_s=float32,
        int8_gop_per_s=int8,
        threads=threads,
        measured_on=datetime.now(UTC).date().isoformat(),
        is_busy=watch.load.is_busy,
    )


def known_machine() -> MachineSpeed | None:
    """What was last kept of this machine; None if nothing was, or it was another machine."""
    try:
        row = json.loads(_path().read_text(encoding="utf-8"))
        return MachineSpeed(**row["speed"]) if row["machine"] == _identity() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_machine(speed: MachineSpeed) -> Path:
    """Remember what was measured, whole or not at all, in the cache.

    Returns:
        The file.

    Raises:
        OSError: If the cache cannot be written.
    """
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"machine": _identity(), "speed": asdict(speed)})
    return path


def _path() -> Path:
    return cache_folder() / "machine.json"


def _identity() -> dict[str, Any]:
    """What tells machines that share a cache apart, and one machine with other limits."""
    processor = read_processor()
    return {
        "processor": processor.name,
        "threads": processor.threads,
        "instructions": list(processor.known_instructions),
    }


def _int8_gop_per_s(threads: int, *, seconds: float) -> float | None:
    """Multiply in the native kernel's 8 bits: 10**9 multiplications and additions a second."""
    from tinymed.engines.native.kernel import KernelOps, kernel_problem

    if kernel_problem() is not None:
        return None
    import numpy as np

    from tinymed.engines.native.packed import PackedMatrix, packed_shape

    tokens, columns, rows = INT8_PRODUCT
    # Any bytes will do; these are numbers and scales near 1.
    data = np.full(packed_shape(8, rows, columns), 0x3C, np.uint8)
    matrix = PackedMatrix(bits=8, rows=rows, columns=columns, data=data)
    values = np.linspace(-1, 1, tokens * columns, dtype=np.float32).reshape(tokens, columns)
    out = np.empty((tokens, rows), np.float32)
    ops = KernelOps(threads)
    product_s = median_s(lambda: ops.linear(values, matrix, out, add=False), seconds)
    return 2e-9 * tokens * columns * rows / product_s
