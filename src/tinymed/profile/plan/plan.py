"""A plan: what a model will take on a device, before it is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIB = 2**20
"""Bytes."""

Verdict = Literal["fits", "tight", "does not fit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """One part of a model as a scheme stores it."""

    name: str
    """One of `schemes.PARTS`."""
    precision: str
    """Of its matrices."""
    num_weights: int
    num_bytes: int
    """Numbers and scales."""
    scale_bytes: int
    """Scales and other constants of quantization alone: what the published figures leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Where a process's memory goes, in bytes."""

    parts: tuple[PartPlan, ...]
    weight_bytes: int
    """Of all parts as they lie in memory, scales included."""
    static_bytes: int
    """Parameters and buffers as the published figures count them: without scales."""
    key_value_bytes: int
    """Cache of keys and values for the longest sequence planned for."""
    activation_bytes: int
    """Most that is computed with at once, and what reading the image file takes."""
    runtime_bytes: int
    """Python, libraries, a GPU's context: there before any weight."""
    loading_bytes: int
    """What opening the model takes for a moment beyond what it takes for good."""
    peak_bytes: int
    """Most held at once, opening included: what must fit."""
    disk_bytes: int
    """Of the build's files."""
    download_bytes: int
    """Of the published checkpoint it is made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPlan:
    """How long an answer takes once the model is open, in seconds."""

    image_s: float
    """Reading the image's file and preparing it for the encoder."""
    vision_s: float
    """Vision encoder and connector, one image."""
    image_prefill_s: float
    """Language model over the prompt up to the question."""
    question_prefill_s: float
    """Language model over the question, up to the first token."""
    decode_tokens_per_s: float
    """Each further token."""
    basis: str
    """What the device's speed is taken from: "measured on this machine on …", or the maker's
    figures and what share of them programs of this kind reach."""

    @property
    def first_token_s(self) -> float:
        """From the image's file to the first token of the first question."""
        return self.image_s + self.vision_s + self.image_prefill_s + self.question_prefill_s

    @property
    def second_question_s(self) -> float:
        """To the first token of another question about the same image."""
        return self.question_prefill_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model in one scheme on one device."""

    model: str
    scheme: str
    engine: str
    device: str
    """A name in `devices.DEVICES`, or "this-machine"."""
    image_tokens: int
    prompt_tokens: int
    """Of image and text together, before the first answered token."""
    answer_tokens: int
    memory: MemoryPlan
    usable_bytes: int
    """Memory of the device that a program may take."""
    verdict: Verdict
    instead: str | None
    """What to take where it does not fit: "tinyllava-1.5b:native-int4", or a sentence."""
    speed: SpeedPlan | None
    """None where nothing is known of the device's speed."""
    remarks: tuple[str, ...] = ()
