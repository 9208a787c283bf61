"""How fast this machine reads memory and multiplies: what plans are computed from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpeed:
    """Measured on this machine, all cores at work."""

    read_gb_per_s: float
    """Memory that no cache holds, streamed through once."""
    float32_gflop_per_s: float
    """Largest matrix product in float32."""
    int8_gop_per_s: float | None
    """Largest product of 8-bit numbers in the native kernel; None where it is not there."""
    threads: int
    measured_on: str
    """Date, such as "2026-11-22"."""
    is_busy: bool
    """Others used the processors meanwhile: the machine can do more."""
