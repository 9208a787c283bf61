"""From repetitions to figures: what could not be timed is absent, and a note says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from tinymed.profile.point import FIGURES, Energy, Measurement, measured
from tinymed.profile.run.observation import Observation, Repetition
from tinymed.profile.run.session import ENOUGH_TOKENS

_OF_EACH = (
    "image_decode_ms",
    "preprocess_ms",
    "vision_ms",
    "image_prefill_ms",
    "question_prefill_ms",
    "first_token_ms",
    "second_question_ms",
    "answer_ms",
)
"""Figures that are a field of Repetition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A point's times."""

    by_name: Mapping[str, Measurement]
    """By the names in FIGURES, in their order; what could not be timed is not there."""
    notes: tuple[str, ...]
    """What a reader must know of them."""


def figures_of(observed: Observation) -> Figures:
    """Sum the repetitions up."""
    runs = observed.repetitions
    values: dict[str, list[float]] = {
        name: [getattr(one, name) for one in runs] for name in _OF_EACH
    }
    values["load_s"] = [observed.opened.load_s]
    values["first_token_cold_ms"] = [observed.opened.first_token_cold_ms]
    token_ms = [
        one.decode_ms / (one.answer_tokens - 1)
        for one in runs
        if one.answer_tokens > 1 and one.decode_ms > 0
    ]
    values["decode_token_ms"] = token_ms
    values["decode_tokens_per_s"] = [1000 / ms for ms in token_ms]
    return Figures(
        by_name={name: measured(values[name]) for name in FIGURES if any(values[name])},
        notes=tuple(_notes(runs)),
    )


def answer_tokens_of(runs: Sequence[Repetition]) -> int:
    """Tokens of the middle one of the longer answers."""
    return int(median(one.answer_tokens for one in runs))


def energy_of(observed: Observation) -> Energy | None:
    """What answers cost; None where no counter could be read in every repetition."""
    joules = [one.joules for one in observed.repetitions if one.joules is not None]
    if observed.counter is None or len(joules) < len(observed.repetitions):
        return None
    seconds = sum(one.answer_ms for one in observed.repetitions) / 1000
    return Energy(
        counter=observed.counter,
        joules_per_answer=measured(joules),
        watts=sum(joules) / seconds,
    )


def mean_peak_mib(runs: Sequence[Repetition]) -> float | None:
    """Mean over repetitions of the highest level while answering; None where it is not told."""
    peaks = [one.peak_mib for one in runs if one.peak_mib is not None]
    return mean(peaks) if len(peaks) == len(runs) else None


def _notes(runs: Sequence[Repetition]) -> list[str]:
    """What differs from the usual."""
    notes = []
    lengths = sorted({one.answer_tokens for one in runs})
    if lengths[-1] == 1:
        notes.append("No decoding could be timed: the model ends every answer after one token.")
    elif lengths[0] < ENOUGH_TOKENS:
        words = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
        notes.append(f"Decoding is timed by answers of {words} tokens: the model ends them early.")
    elif len(lengths) > 1:
        notes.append(f"The answers timed have {lengths[0]} to {lengths[-1]} tokens.")
    if not any(one.image_prefill_ms for one in runs):
        notes.append(
            "This engine reads the image anew with every question: image_prefill is part of "
            "question_prefill."
        )
    return notes
