"""Counters of energy: the joules a machine has used, where it counts them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from tinymed.hardware.gpu import open_nvml
from tinymed.hardware.ina3221 import find_ina3221
from tinymed.hardware.rapl import POWERCAP, find_rapl, rapl_folders


class Counter(Protocol):
    """Joules since some time in the past: only differences mean something."""

    @property
    def name(self) -> str:
        """One of "rapl", "nvml" and "ina3221"."""
        ...

    @property
    def covers(self) -> str:
        """What of the machine it counts, in words."""
        ...

    def read_joules(self) -> float:
        """Joules used so far."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class NvmlCounter:
    """One GPU with its memory, as NVIDIA's driver has counted since it was loaded."""

    name = "nvml"
    covers = "the GPU and its memory"

    def __init__(self, nvml: Any, gpu: int, opened: ExitStack) -> None:
        """Keep NVIDIA's library open until `close`."""
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByIndex(gpu)
        self._opened = opened

    def read_joules(self) -> float:
        """Joules since the driver was loaded."""
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000

    def close(self) -> None:
        """Close NVIDIA's library."""
        self._opened.close()


def find_counter(*, gpu: int | None = None, root: Path = Path("/")) -> Counter | None:
    """The counter that covers what computes: the board's, the processor's, or a GPU's.

    Close it when done. Each is read once before it is handed out: None where there is none or
    it may not be read, never a counter that stays at 0.

    Args:
        gpu: NVML's index of the GPU that computes; None for the processor. A Jetson's counter
            covers GPU and processor and is taken for both.
        root: Folder that holds `sys`; another in tests.
    """
    board = find_ina3221(root)
    if board is not None:
        return board
    return find_rapl(root) if gpu is None else _find_nvml(gpu)


def counter_problem(*, root: Path = Path("/")) -> str | None:
    """Why there is no counter for the processor, and what mends it; None where there is one."""
    counter = find_counter(root=root)
    if counter is not None:
        counter.close()
        return None
    if rapl_folders(root):
        return (
            "the processor counts its energy, but only root may read it; to let everybody, run: "
            f"sudo chmod a+r /{POWERCAP}/intel-rapl:*/energy_uj"
        )
    return "no counter shows here: few virtual machines have one"


def _find_nvml(gpu: int) -> NvmlCounter | None:
    opened = ExitStack()
    nvml = opened.enter_context(open_nvml())
    if nvml is None:
        return None
    try:
        counter = NvmlCounter(nvml, gpu, opened)
        counter.read_joules()
    except nvml.NVMLError:  # GPUs before Volta do not count
        opened.close()
        return None
    return counter
