"""What is read beside the clock: memory, energy and what others do, as this machine tells them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tinymed.hardware.energy import Counter, find_counter
from tinymed.hardware.gpu import gpu_memory_mib, list_gpus
from tinymed.hardware.memory import begin_peak_anew, peak_memory_mib, process_memory
from tinymed.profile.run.observation import Levels

_MIB = 2**20


class MemoryGauges:
    """Memory of this process; peaks can begin anew without the highest being lost."""

    def __init__(self, *, on_gpu: bool) -> None:
        """Begin to keep the highest peak.

        Args:
            on_gpu: Whether torch computes on a GPU, whose memory then counts as well.
        """
        self._cuda = _torch_cuda() if on_gpu else None
        self._is_anew = False
        self._peak: float | None = None
        self._allocated: float | None = None
        self._reserved: float | None = None

    def begin_peak(self) -> None:
        """Have the peak begin at what is held now."""
        self._keep_highest()
        self._is_anew = begin_peak_anew()
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()

    def peak_mib(self) -> float | None:
        """Most held since the peak began: on the GPU if there is one; None if it never began."""
        self._keep_highest()  # the kernel's own mark may lag behind what it tells here
        if self._cuda is not None:
            return float(self._cuda.max_memory_allocated()) / _MIB
        return peak_memory_mib() if self._is_anew else None

    def resting(self) -> Levels:
        """What is held now, between answers."""
        now = process_memory()
        return Levels(
            resident=now.resident_mib,
            proportional=now.proportional_mib,
            anonymous=now.anonymous_mib,
        )

    def levels(self, resting: Levels) -> Levels:
        """What was held while resting, and the highest ever."""
        self._keep_highest()
        return Levels(
            resident=resting.resident,
            proportional=resting.proportional,
            anonymous=resting.anonymous,
            peak=self._peak,
            gpu_allocated=self._allocated,
            gpu_reserved=self._reserved,
            gpu_driver=None if self._cuda is None else gpu_memory_mib(),
        )

    def _keep_highest(self) -> None:
        self._peak = _higher(self._peak, peak_memory_mib())
        if self._cuda is not None:
            allocated, reserved = (
                self._cuda.max_memory_allocated(),
                self._cuda.max_memory_reserved(),
            )
            self._allocated = _higher(self._allocated, allocated / _MIB)
            self._reserved = _higher(self._reserved, reserved / _MIB)


class EnergyGauge:
    """The counter that covers what computes, if there is one."""

    def __init__(self, *, on_gpu: bool) -> None:
        """Find the counter; close it when done."""
        self._counter = _counter(on_gpu=on_gpu)

    @property
    def name(self) -> str | None:
        """The counter's; None where there is none."""
        return None if self._counter is None else self._counter.name

    def read_joules(self) -> float | None:
        """Joules since some time in the past; None where no counter can be read."""
        if self._counter is None:
            return None
        with suppress(OSError, ValueError):
            return self._counter.read_joules()
        return None

    def close(self) -> None:
        """Let go of the counter."""
        if self._counter is not None:
            self._counter.close()


def _counter(*, on_gpu: bool) -> Counter | None:
    if not on_gpu:
        return find_counter()
    # torch numbers GPUs in another order than the driver: of several it is not told which.
    gpus = list_gpus()
    return find_counter(gpu=gpus[0].index) if len(gpus) == 1 else None


def _torch_cuda() -> Any:
    import torch

    return torch.cuda


def _higher(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)
