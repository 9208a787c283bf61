"""What runs on this machine and how fast: each known model in the best scheme that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.doctor.ingredient import Ingredient
from tinymed.hardware.speed import MachineSpeed
from tinymed.models.shape.known import find_shape, known_names
from tinymed.profile.devices import this_machine
from tinymed.profile.plan.choose import best_plan
from tinymed.profile.plan.plan import Plan, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One model in the best scheme for this machine, as `tinymed profile plan` foresees it."""

    model: str
    scheme: str
    verdict: Verdict
    peak_bytes: int
    usable_bytes: int
    download_bytes: int
    first_token_s: float | None
    """None where this machine's speed is not known."""
    second_question_s: float | None
    decode_tokens_per_s: float | None
    instead: str | None
    """What to take where it does not fit."""
    get: str | None
    """The command for an engine that is not here."""

    @property
    def can_run(self) -> bool:
        """Whether it fits and its engine is here."""
        return self.verdict != "does not fit" and self.get is None


def foresee(speed: MachineSpeed, engines: Sequence[Ingredient]) -> tuple[Fit, ...]:
    """Plan every known model on this machine, the smallest first."""
    device = this_machine(speed)
    plans = [best_plan(find_shape(name), device) for name in known_names()]
    # The native engine runs without its kernel, if slowly.
    commands = {one.name: one.get for one in engines if one.name != "native"}
    fits = [_fit(plan, commands.get(plan.engine)) for plan in plans]
    return tuple(sorted(fits, key=lambda fit: fit.peak_bytes))


def _fit(plan: Plan, get: str | None) -> Fit:
    speed = plan.speed
    return Fit(
        model=plan.model,
        scheme=plan.scheme,
        verdict=plan.verdict,
        peak_bytes=plan.memory.peak_bytes,
        usable_bytes=plan.usable_bytes,
        download_bytes=plan.memory.download_bytes,
        first_token_s=None if speed is None else speed.first_token_s,
        second_question_s=None if speed is None else speed.second_question_s,
        decode_tokens_per_s=None if speed is None else speed.decode_tokens_per_s,
        instead=plan.instead,
        get=get,
    )
