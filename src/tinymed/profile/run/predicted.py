"""What the plan had said of a point, beside which its figures are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinymed.errors import TinymedError
from tinymed.hardware.speed import MachineSpeed
from tinymed.models.shape.known import find_shape
from tinymed.profile.devices import this_machine
from tinymed.profile.machine_speed import keep_machine, known_machine, measure_machine
from tinymed.profile.plan.make import PromptSize, make_plan
from tinymed.profile.plan.plan import Plan, SpeedPlan
from tinymed.profile.run.figures import answer_tokens_of
from tinymed.profile.run.observation import Observation
from tinymed.profile.run.opening import CPU
from tinymed.profile.run.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """A plan as figures."""

    figures: Mapping[str, float] = field(default_factory=dict)
    """By the names in FIGURES and "peak_mib", "static_mib", "disk_mib"; empty without a plan."""
    scale_bytes: int | None = None
    """Scales of quantized matrices, which the published static figure leaves out."""
    notes: tuple[str, ...] = ()
    """Why there is no plan, or what it took for granted."""


def predicted(target: Target, observed: Observation, speed: MachineSpeed) -> Predicted:
    """Plan the very point that was measured: its prompt, its answer, this machine's processor.

    A model whose shape cannot be read has no plan, and of a GPU this machine's speed is not
    known: a note says so.
    """
    try:
        shape = find_shape(target.address)
        prompt = PromptSize(
            question_tokens=observed.prompt_tokens - shape.image_tokens,
            answer_tokens=answer_tokens_of(observed.repetitions),
        )
        device, precisions = this_machine(speed), target.precisions
        plan = make_plan(shape, target.scheme, device, prompt=prompt, precisions=precisions)
    except TinymedError as error:
        return Predicted(notes=(f"There is no plan to compare with: {error}",))
    figures, notes = _memory(plan), plan.remarks
    if observed.device != CPU:
        notes = (*notes, "Peak memory and times on this GPU were not planned.")
        del figures["peak_mib"]
    elif plan.speed is not None:
        figures |= _times(plan.speed, plan.answer_tokens)
    return Predicted(
        figures=figures,
        scale_bytes=sum(part.scale_bytes for part in plan.memory.parts),
        notes=notes,
    )


def this_machines_speed() -> MachineSpeed:
    """How fast this machine is, measured now where it was never measured; takes 3 s then."""
    known = known_machine()
    if known is not None:
        return known
    speed = measure_machine()
    if not speed.is_busy:
        keep_machine(speed)
    return speed


def _memory(plan: Plan) -> dict[str, float]:
    return {
        "peak_mib": plan.memory.peak_bytes / 2**20,
        "static_mib": plan.memory.static_bytes / 2**20,
        "disk_mib": plan.memory.disk_bytes / 2**20,
    }


def _times(speed: SpeedPlan, answer_tokens: int) -> dict[str, float]:
    token_ms = 1000 / speed.decode_tokens_per_s
    return {
        "vision_ms": 1000 * speed.vision_s,
        "image_prefill_ms": 1000 * speed.image_prefill_s,
        "question_prefill_ms": 1000 * speed.question_prefill_s,
        "decode_token_ms": token_ms,
        "first_token_ms": 1000 * speed.first_token_s,
        "second_question_ms": 1000 * speed.second_question_s,
        "answer_ms": 1000 * speed.first_token_s + (answer_tokens - 1) * token_ms,
        "decode_tokens_per_s": speed.decode_tokens_per_s,
    }
