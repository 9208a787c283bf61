"""A plan for one model, one scheme and one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinymed.errors import ConfigError
from tinymed.models.build import CONTEXT_TOKENS
from tinymed.models.schemes import Scheme
from tinymed.models.shape.shape import ModelShape
from tinymed.profile.devices import Device
from tinymed.profile.plan.memory import Lengths, Request, memory_plan
from tinymed.profile.plan.plan import Plan, Verdict
from tinymed.profile.plan.speed import speed_plan
from tinymed.profile.plan.weights import held_tensors, part_precisions, summed_parts

FITS_SHARE = 0.8
"""Of what a program may take: up to here a model fits, above it is tight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSize:
    """How much is asked and answered about one image."""

    question_tokens: int = 32
    """All text of the prompt: the question and what the model's template puts around it."""
    answer_tokens: int = 32
    context_tokens: int | None = None
    """Room of caches that are made for a whole context; None for what builds have."""


def make_plan(
    shape: ModelShape,
    scheme: Scheme,
    device: Device,
    *,
    prompt: PromptSize | None = None,
    precisions: Mapping[str, str] | None = None,
) -> Plan:
    """What a model takes on a device, and how fast it answers there.

    Args:
        shape: Of the model.
        scheme: How it is stored, and the engine that runs it.
        device: Where.
        prompt: How much is asked; None for a short question.
        precisions: Of single parts, where they are to differ from the scheme's.

    Raises:
        ConfigError: If the prompt does not fit into its context, or the scheme cannot run there.
    """
    reason = cannot_run(shape, scheme, device)
    if reason:
        raise ConfigError(reason)
    request = _request(shape, scheme, device, prompt or PromptSize(), precisions)
    memory = memory_plan(request)
    speed = speed_plan(request, device)
    return Plan(
        model=shape.name,
        scheme=scheme.name,
        engine=scheme.engine,
        device=device.name,
        image_tokens=shape.image_tokens,
        prompt_tokens=request.lengths.prompt,
        answer_tokens=request.lengths.answer,
        memory=memory,
        usable_bytes=device.usable_bytes,
        verdict=_verdict(memory.peak_bytes, device.usable_bytes),
        instead=None,
        speed=speed,
        remarks=_remarks(request, device, has_speed=speed is not None),
    )


def cannot_run(shape: ModelShape, scheme: Scheme, device: Device) -> str:
    """Why a scheme cannot run a model on a device, in a sentence; "" where it can."""
    if device.has_gpu and scheme.engine not in {"torch", "llamacpp"}:
        return f"The scheme {scheme.name} runs on processors only, not on {device.title}."
    if shape.runs_only_in_transformers and scheme.engine != "torch":
        return (
            f"'{shape.name}' runs in transformers only, so not as {scheme.name}: "
            f"{shape.runs_only_in_transformers}"
        )
    if scheme.language_model == "published" and shape.vision.patch_px is not None:
        return f"The scheme {scheme.name} is for models of ours only, and '{shape.name}' is none."
    return ""


def _request(
    shape: ModelShape,
    scheme: Scheme,
    device: Device,
    prompt: PromptSize,
    precisions: Mapping[str, str] | None,
) -> Request:
    context = prompt.context_tokens or CONTEXT_TOKENS
    lengths = Lengths(
        image=shape.image_tokens,
        question=prompt.question_tokens,
        answer=prompt.answer_tokens,
        context=context,
    )
    if lengths.total > context:
        raise ConfigError(
            f"{lengths.image} image tokens, {lengths.question} of text and {lengths.answer} of an "
            f"answer do not fit into a context of {context}: ask for less, or set --context."
        )
    held = held_tensors(shape, scheme, precisions)
    return Request(
        shape=shape,
        scheme=scheme,
        held=held,
        parts=summed_parts(held, part_precisions(shape, scheme, precisions)),
        lengths=lengths,
        kind=device.kind,
        asked=dict(precisions or {}),
    )


def _verdict(peak_bytes: int, usable_bytes: int) -> Verdict:
    if peak_bytes <= FITS_SHARE * usable_bytes:
        return "fits"
    return "tight" if peak_bytes <= usable_bytes else "does not fit"


def _remarks(request: Request, device: Device, *, has_speed: bool) -> tuple[str, ...]:
    remarks = [*request.shape.remarks, *device.remarks]
    built = request.precision("language_model")
    if built != request.scheme.language_model and built not in request.asked.values():
        remarks.append(f"The language model is too narrow for 4 bits: builders keep it in {built}.")
    if device.has_gpu:
        remarks.append(
            "Nothing on a GPU was measured by us. Launching its kernels is not planned: models "
            "under a billion weights are slower than this."
        )
        if request.scheme.engine == "llamacpp":
            remarks.append(
                "tinymed's own llama.cpp engine computes on the processor: on a GPU take a stock "
                "llama.cpp built for it, with the build's files."
            )
    elif request.scheme.name == "int8":
        remarks.append(
            "LLM.int8 keeps copies of columns where activations have outliers. How many a model "
            "has is not known before it runs: 80 MiB are planned for."
        )
    if not has_speed:
        remarks.append(_why_no_speed(device))
    return tuple(remarks)


def _why_no_speed(device: Device) -> str:
    if device.name == "this-machine" and not device.is_measured:
        return "This machine's speed is not known yet: run `tinymed doctor` once."
    return "What share of this device's speed the scheme reaches is not known: none is planned."
