"""What was found out about this machine, as text."""

from __future__ import annotations

from collections.abc import Iterator

from tinymed.doctor.layout import NOT_TOLD, gib, labelled
from tinymed.doctor.machine import MachineFacts
from tinymed.hardware.disk import Disk
from tinymed.hardware.gpu import Gpu
from tinymed.hardware.memory import MachineMemory
from tinymed.hardware.processor import Processor
from tinymed.hardware.speed import MachineSpeed


def machine_text(machine: MachineFacts) -> str:
    """The section on this machine alone."""
    return "\n".join(["This machine", *_machine_lines(machine)])


def _machine_lines(machine: MachineFacts) -> Iterator[str]:
    if machine.board:
        yield from labelled("board", machine.board)
    yield from _processor_lines(machine.processor)
    yield from labelled("speed", _speed_text(machine.speed))
    yield from labelled("memory", _memory_text(machine.memory))
    for gpu in machine.gpus:
        yield from labelled(f"GPU {gpu.index}", _gpu_text(gpu))
    if not machine.gpus:
        yield from labelled("GPU", machine.gpu_problem or "none that NVIDIA's driver knows")
    yield from labelled("disk", NOT_TOLD if machine.disk is None else _disk_text(machine.disk))
    energy = machine.energy
    counted = (
        f"{energy.name}: {energy.covers}" if energy else f"not counted: {machine.energy_problem}"
    )
    yield from labelled("energy", counted)
    yield from labelled(
        "system", f"{machine.system}, Python {machine.python}, tinymed {machine.tinymed}"
    )


def _processor_lines(processor: Processor) -> Iterator[str]:
    allowed = f"{_number(processor.cores, 'core')}, {_number(processor.threads, 'thread')}"
    if processor.quota is not None:
        allowed += f", limited to {processor.quota:g} processors' time"
    name = processor.name or "name not told"
    yield from labelled("processor", f"{name} ({processor.architecture}), {allowed}")
    unknown = [name for name, is_there in processor.instructions.items() if is_there is None]
    words = " ".join(processor.known_instructions) or "none that matter here"
    if unknown:
        words += f" (not told: {' '.join(unknown)})"
    yield from labelled("instructions", words if processor.instructions else NOT_TOLD)
    caches = [
        f"{num_bytes / 2**20:.1f} MiB {whose}"
        for num_bytes, whose in (
            (processor.level2_bytes, "a core"),
            (processor.level3_bytes, "shared"),
        )
        if num_bytes is not None
    ]
    yield from labelled("caches", ", ".join(caches) or NOT_TOLD)


def _speed_text(speed: MachineSpeed) -> str:
    text = (
        f"reads {speed.read_gb_per_s:.1f} GB/s; {speed.float32_gflop_per_s:.0f} GFLOP/s in float32"
    )
    if speed.int8_gop_per_s is not None:
        text += f", {speed.int8_gop_per_s:.0f} GOP/s in 8 bits"
    text += f", on {_number(speed.threads, 'thread')}"
    if speed.is_busy:
        text += ". Others used the processors meanwhile: it can do more when they rest"
    return text


def _memory_text(memory: MachineMemory) -> str:
    text = f"{gib(memory.total_bytes)}, {gib(memory.available_bytes)} available"
    if memory.limit_bytes is not None:
        text += f", limited to {gib(memory.limit_bytes)} by this process's control group"
    if memory.swap_bytes is not None:
        text += f", {gib(memory.swap_bytes)} swap" if memory.swap_bytes else ", no swap"
    return text


def _gpu_text(gpu: Gpu) -> str:
    memory = "memory shared with the processor"
    if gpu.memory_bytes is not None:
        memory = f"{gib(gpu.memory_bytes)}, {gib(gpu.free_bytes)} free"
    told = [gpu.name, memory]
    if gpu.compute_capability:
        told.append(f"compute capability {gpu.compute_capability}")
    if gpu.pcie_generation and gpu.pcie_lanes:
        told.append(f"PCIe {gpu.pcie_generation} x{gpu.pcie_lanes}")
    if gpu.driver:
        told.append(f"driver {gpu.driver}" + (f" for CUDA {gpu.cuda}" if gpu.cuda else ""))
    return ", ".join(told)


def _disk_text(disk: Disk) -> str:
    text = f"{gib(disk.free_bytes)} free of {gib(disk.total_bytes)} at {disk.folder}"
    if not disk.is_writable:
        text += ", which cannot be written: set TINYMED_CACHE to a folder that can"
    return text


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
