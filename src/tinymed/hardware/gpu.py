"""NVIDIA's GPUs, and boards that have one: what the driver says of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEAT = 0x08 | 0x20 | 0x40 | 0x80
"""NVML's reasons for a lower clock that a cooler or stronger machine would not have: hardware
slowdown, software thermal, hardware thermal, power brake."""

_NVIDIA_VENDOR = "0x10de"
_DISPLAY_CLASS = "0x03"
"""As Linux shows a card on the bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU; None for whatever its driver does not tell."""

    index: int
    """NVML's, which counts in the order of the bus; CUDA_VISIBLE_DEVICES does not change it."""
    name: str
    memory_bytes: int | None
    """None on boards whose GPU shares the processor's memory."""
    free_bytes: int | None
    driver: str | None
    cuda: str | None
    """Newest CUDA that the driver runs, such as "13.0"."""
    compute_capability: str | None
    """Such as "8.6"."""
    pcie_generation: int | None
    """Of the link as it could be; an idle GPU runs it slower."""
    pcie_lanes: int | None


def list_gpus() -> tuple[Gpu, ...]:
    """Every GPU that NVIDIA's driver knows; empty without a driver, and quickly so."""
    with open_nvml() as nvml:
        if nvml is None:
            return ()
        return tuple(_describe(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))


def gpu_memory_mib(process: int | None = None) -> float | None:
    """What the driver says a process holds on all GPUs, in MiB: its CUDA context included.

    Args:
        process: Its number; None for this one.

    Returns:
        None without a driver, or where it does not list the process: in a container, whose
        numbers differ from the driver's, and on Windows.
    """
    wanted, held = process or os.getpid(), []
    with open_nvml() as nvml:
        for index in range(0 if nvml is None else nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            listed = _ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
            held += [one.usedGpuMemory for one in listed if one.pid == wanted]
    # The driver under Windows lists processes without their memory.
    return sum(held) / 2**20 if held and None not in held else None


def is_slowed() -> bool | None:
    """Whether a GPU runs slower now because of heat or too weak a supply; None if untold."""
    with open_nvml() as nvml:
        if nvml is None:
            return None
        handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        asked = nvml.nvmlDeviceGetCurrentClocksEventReasons
        reasons = [_ask(nvml, asked, handle) for handle in handles]
    told = [bool(reason & _HEAT) for reason in reasons if reason is not None]
    return any(told) if told else None


def driver_problem(*, root: Path = Path("/")) -> str | None:
    """What to do about an NVIDIA card on the bus that no driver serves; None without such a card.

    Call it where `list_gpus` is empty.

    Args:
        root: Folder that holds `sys`; another in tests.
    """
    for folder in (root / "sys/bus/pci/devices").glob("*"):
        is_nvidia = _read(folder / "vendor") == _NVIDIA_VENDOR
        if is_nvidia and _read(folder / "class").startswith(_DISPLAY_CLASS):
            return (
                "an NVIDIA card is here, but no driver answers: install NVIDIA's "
                "(Ubuntu: sudo ubuntu-drivers install)"
            )
    return None


def board_name(*, root: Path = Path("/")) -> str | None:
    """What a single-board computer calls itself: "NVIDIA Jetson Orin Nano Developer Kit".

    Args:
        root: Folder that holds `proc`; another in tests.
    """
    return _read(root / "proc/device-tree/model").rstrip("\x00") or None


def is_jetson(*, root: Path = Path("/")) -> bool:
    """Whether this is one of NVIDIA's boards, whose GPU shares the processor's memory.

    Args:
        root: Folder that holds `etc` and `proc`; another in tests.
    """
    has_release = (root / "etc/nv_tegra_release").is_file()
    return has_release or "Jetson" in (board_name(root=root) or "")


@contextmanager
def open_nvml() -> Iterator[Any]:
    """NVIDIA's library, ready to be asked; None where there is no driver to answer."""
    try:
        import pynvml
    except ModuleNotFoundError:
        yield None
        return
    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        yield None
        return
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _describe(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    cuda = _ask(nvml, nvml.nvmlSystemGetCudaDriverVersion)
    capability = _ask(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return Gpu(
        index=index,
        name=str(nvml.nvmlDeviceGetName(handle)),
        memory_bytes=None if memory is None else memory.total,
        free_bytes=None if memory is None else memory.free,
        driver=_ask(nvml, nvml.nvmlSystemGetDriverVersion),
        cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        compute_capability=None if capability is None else ".".join(map(str, capability)),
        pcie_generation=_ask(nvml, nvml.nvmlDeviceGetMaxPcieLinkGeneration, handle),
        pcie_lanes=_ask(nvml, nvml.nvmlDeviceGetMaxPcieLinkWidth, handle),
    )


def _ask(nvml: Any, question: Callable[..., Any], *arguments: object) -> Any:
    """One answer, or None: each kind of GPU lacks some."""
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
