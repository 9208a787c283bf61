"""A point of what was measured, and what the plan had said of it."""

from __future__ import annotations

from tinymed.profile.point import Memory, Point
from tinymed.profile.run.figures import answer_tokens_of, energy_of, figures_of, mean_peak_mib
from tinymed.profile.run.observation import Observation
from tinymed.profile.run.predicted import Predicted
from tinymed.profile.run.quiet import conditions_of
from tinymed.profile.run.target import Target

_WHOLE_BITS = 16
"""Schemes of so many bits and more have no scales."""


def summed_up(target: Target, observed: Observation, plan: Predicted, *, image: str) -> Point:
    """The point that a measuring process saw."""
    figures = figures_of(observed)
    return Point(
        model=target.model,
        scheme=target.scheme.name,
        engine=observed.engine,
        device=observed.device,
        threads=observed.threads,
        weights_sha256=observed.weights_sha256,
        is_random=target.is_random,
        parity=target.parity,
        image=image,
        image_tokens=observed.repetitions[0].image_tokens,
        prompt_tokens=observed.prompt_tokens,
        answer_tokens=answer_tokens_of(observed.repetitions),
        figures=figures.by_name,
        memory=_memory(target, observed, plan),
        energy=energy_of(observed),
        conditions=conditions_of(observed.meanwhile, figures.by_name),
        predicted=plan.figures,
        notes=(*figures.notes, *plan.notes),
    )


def _memory(target: Target, observed: Observation, plan: Predicted) -> Memory:
    levels, dynamic = observed.levels, mean_peak_mib(observed.repetitions)
    with_scales, static = _static(target, observed, plan)
    return Memory(
        disk=target.disk_bytes / 2**20,
        static=static,
        static_with_scales=with_scales,
        resident=levels.resident,
        proportional=levels.proportional,
        anonymous=levels.anonymous,
        dynamic=dynamic,
        above_static=None if dynamic is None else dynamic - with_scales,
        peak=levels.peak,
        gpu_allocated=levels.gpu_allocated,
        gpu_reserved=levels.gpu_reserved,
        gpu_driver=levels.gpu_driver,
    )


def _static(target: Target, observed: Observation, plan: Predicted) -> tuple[float, float | None]:
    """MiB of the weights with scales, and without them; None where scales cannot be told.

    torch's tensors are counted where they lie. Of other engines the build says how many bytes
    each part has; how many of them are scales follows from the scheme, as the plan has it.
    """
    if observed.static_with_scales_mib is not None:
        return observed.static_with_scales_mib, observed.static_mib
    assert target.stored_bytes is not None
    stored = target.stored_bytes
    if target.scheme.bits >= _WHOLE_BITS:
        return stored / 2**20, stored / 2**20
    if plan.scale_bytes is None:
        return stored / 2**20, None
    return stored / 2**20, (stored - plan.scale_bytes) / 2**20
