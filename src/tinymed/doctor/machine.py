"""This machine: what it computes with, what room it has, and how fast it is."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from tinymed import __version__
from tinymed.hardware.disk import Disk, read_disk
from tinymed.hardware.energy import counter_problem, find_counter
from tinymed.hardware.gpu import Gpu, board_name, driver_problem, list_gpus
from tinymed.hardware.memory import MachineMemory, machine_memory
from tinymed.hardware.processor import Processor, read_processor
from tinymed.hardware.speed import MachineSpeed
from tinymed.models.cache import cache_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyCounter:
    """A counter of energy that can be read."""

    name: str
    covers: str
    """What of the machine it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """All that was found out about this machine."""

    system: str
    python: str
    tinymed: str
    board: str | None
    """Name of a single-board computer."""
    processor: Processor
    memory: MachineMemory
    gpus: tuple[Gpu, ...]
    gpu_problem: str | None
    """Why an NVIDIA card that is there cannot be used, and what mends it."""
    disk: Disk | None
    """Where models are kept."""
    speed: MachineSpeed
    """Measured just now."""
    energy: EnergyCounter | None
    energy_problem: str | None
    """Why there is no counter, and what mends it."""


def examine_machine(speed: MachineSpeed, *, root: Path = Path("/")) -> MachineFacts:
    """Find out what this machine is.

    Args:
        speed: What was measured.
        root: Folder that holds `proc`, `sys` and `etc`; another in tests.
    """
    gpus = list_gpus()
    return MachineFacts(
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        tinymed=__version__,
        board=board_name(root=root),
        processor=read_processor(root=root),
        memory=machine_memory(root=root),
        gpus=gpus,
        gpu_problem=None if gpus else driver_problem(root=root),
        disk=read_disk(cache_folder()),
        speed=speed,
        energy=_find_energy(root),
        energy_problem=counter_problem(root=root),
    )


def _find_energy(root: Path) -> EnergyCounter | None:
    counter = find_counter(root=root)
    if counter is None:
        return None
    found = EnergyCounter(name=counter.name, covers=counter.covers)
    counter.close()
    return found
