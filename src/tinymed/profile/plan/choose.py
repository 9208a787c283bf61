"""Which scheme of a model to take on a device, and what instead where none fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinymed.models.schemes import DEFAULT_SCHEME, SCHEMES, WIDE_SCHEME, Scheme
from tinymed.models.shape.known import find_shape
from tinymed.models.shape.shape import ModelShape
from tinymed.profile.devices import Device
from tinymed.profile.plan.make import PromptSize, cannot_run, make_plan
from tinymed.profile.plan.plan import Plan
from tinymed.profile.plan.stored import is_narrow

ON_GPU = ("torch-bf16", "int8", "nf4", "gguf-f16", "gguf-q8_0", "gguf-q4_k_m", "torch-f32")
"""Best first: as published, then 8 bits, then 4; float32 takes twice for the same answers."""
ON_PROCESSOR = (
    "gguf-q8_0",
    "native-int4",
    "openvino-int4",
    "gguf-q4_k_m",
    "gguf-f16",
    "torch-bf16",
    "openvino-f32",
    "torch-f32",
    "int8",
    "nf4",
    "gguf-lora",
)
"""Behind the default of a model's width and the other 8 bits, best first: fewer bits where they
must be, then what takes more memory or time for the same answers."""
SMALLER = ("tinyllava-1.5b", "smolvlm-500m", "smolvlm-256m", "nano")
"""Models to take where no scheme of one fits, largest first."""


def plans(
    shape: ModelShape, device: Device, *, prompt: PromptSize | None = None
) -> tuple[Plan, ...]:
    """A plan of every scheme that can run a model on a device, best first."""
    found = _possible(shape, device, prompt)
    if all(plan.verdict == "does not fit" for plan in found):
        instead = _smaller(shape, device, prompt)
    else:
        instead = _name(_best(found))
    return tuple(
        replace(plan, instead=instead) if plan.verdict == "does not fit" else plan for plan in found
    )


def planned_with_instead(
    shape: ModelShape, scheme: Scheme, device: Device, *, prompt: PromptSize | None = None
) -> Plan:
    """The plan of one scheme; where it does not fit, what to take instead.

    Raises:
        ConfigError: If the scheme cannot run there, or the prompt does not fit.
    """
    plan = make_plan(shape, scheme, device, prompt=prompt)
    if plan.verdict != "does not fit":
        return plan
    others = plans(shape, device, prompt=prompt)
    best = _best(others)
    return replace(plan, instead=best.instead or _name(best))


def best_plan(shape: ModelShape, device: Device, *, prompt: PromptSize | None = None) -> Plan:
    """The plan of the best scheme that fits; of the smallest where none does."""
    return _best(plans(shape, device, prompt=prompt))


def _possible(shape: ModelShape, device: Device, prompt: PromptSize | None) -> list[Plan]:
    """A plan of every scheme that can run there, best first, whether it fits or not."""
    return [
        make_plan(shape, scheme, device, prompt=prompt)
        for scheme in _in_order(shape, device)
        if not cannot_run(shape, scheme, device)
    ]


def _best(found: Sequence[Plan]) -> Plan:
    for verdict in ("fits", "tight"):
        for plan in found:
            if plan.verdict == verdict:
                return plan
    return min(found, key=lambda plan: plan.memory.peak_bytes)


def _in_order(shape: ModelShape, device: Device) -> list[Scheme]:
    if device.has_gpu:
        return [SCHEMES[name] for name in ON_GPU]
    eight_bits = (DEFAULT_SCHEME, WIDE_SCHEME)
    first = eight_bits if is_narrow(shape) else eight_bits[::-1]
    return [SCHEMES[name] for name in (*first, *ON_PROCESSOR)]


def _smaller(shape: ModelShape, device: Device, prompt: PromptSize | None) -> str:
    """The largest known model that is smaller than this one and fits."""
    for name in SMALLER:
        other = find_shape(name)
        if other.num_weights() >= shape.num_weights():
            continue
        best = _best(_possible(other, device, prompt))
        if best.verdict != "does not fit":
            return _name(best)
    return "no known model fits: take a device with more memory"


def _name(plan: Plan) -> str:
    return f"{plan.model}:{plan.scheme}"
