"""All of `tinymed doctor`: measured and asked once, as plain values."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinymed.doctor.codecs import examine_codecs
from tinymed.doctor.engines import examine_engines
from tinymed.doctor.extras_here import examine_extras
from tinymed.doctor.fits import Fit, foresee
from tinymed.doctor.ingredient import Ingredient
from tinymed.doctor.machine import MachineFacts, examine_machine
from tinymed.doctor.models import examine_models
from tinymed.hardware.speed import MachineSpeed
from tinymed.profile.machine_speed import (
    NUM_PROBES,
    keep_machine,
    known_machine,
    measure_machine,
)
from tinymed.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the doctor found."""

    machine: MachineFacts
    planned_with: MachineSpeed
    """What `fits` was computed from: just measured, or kept from a quieter day."""
    engines: tuple[Ingredient, ...]
    extras: tuple[Ingredient, ...]
    codecs: tuple[Ingredient, ...]
    models: tuple[Ingredient, ...]
    fits: tuple[Fit, ...]

    @property
    def can_run(self) -> bool:
        """Whether any known model runs here."""
        return any(fit.can_run for fit in self.fits)


def examine(*, seconds: float = 2.4, root: Path = Path("/")) -> Examination:
    """Measure this machine, ask everything else, and keep its speed for later plans.

    Args:
        seconds: About how long to measure.
        root: Folder that holds `proc`, `sys` and `etc`; another in tests.
    """
    with Progress("measuring this machine", total=NUM_PROBES, unit="probe") as progress:
        speed = measure_machine(seconds=seconds, step=progress.step)
    engines = examine_engines()
    planned_with = _keep_quieter(speed)
    return Examination(
        machine=examine_machine(speed, root=root),
        planned_with=planned_with,
        engines=engines,
        extras=examine_extras(),
        codecs=examine_codecs(),
        models=examine_models(),
        fits=foresee(planned_with, engines),
    )


def examination_row(found: Examination) -> dict[str, Any]:
    """What was found, as JSON: figures of memory in bytes, times in seconds."""
    row = asdict(found) | {"can_run": found.can_run}
    memory = row["machine"]["memory"]
    memory["usable_bytes"] = found.machine.memory.usable_bytes
    if found.machine.disk is not None:
        row["machine"]["disk"]["folder"] = str(found.machine.disk.folder)
    return row


def _keep_quieter(speed: MachineSpeed) -> MachineSpeed:
    """Keep what was measured, unless the machine was busy and a quiet day's is kept already."""
    known = known_machine()
    if speed.is_busy and known is not None and not known.is_busy:
        return known
    with suppress(OSError):  # a cache that cannot be written: measured anew next time
        keep_machine(speed)
    return speed
