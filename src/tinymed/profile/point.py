"""A measured point: one model in one scheme on one machine, and what it took."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure, measured several times."""

    median: float
    p95: float
    low: float
    high: float
    num_runs: int

    @property
    def spread(self) -> float:
        """(p95 - median) / median: how far a slow run lies from the middle one."""
        return (self.p95 - self.median) / self.median if self.median else 0.0


def measured(values: Sequence[float]) -> Measurement:
    """Sum measured values up.

    >>> measured([3.0, 1.0, 2.0])
    Measurement(median=2.0, p95=2.9, low=1.0, high=3.0, num_runs=3)
    """
    return Measurement(
        median=statistics.median(values),
        p95=float(np.quantile(values, 0.95)),
        low=min(values),
        high=max(values),
        num_runs=len(values),
    )


PHASES = (
    "image_decode_ms",
    "preprocess_ms",
    "vision_ms",
    "image_prefill_ms",
    "question_prefill_ms",
    "decode_token_ms",
)
"""In the order in which an answer passes through them; each apart, warmed up."""

FIGURES = (
    *PHASES,
    "load_s",
    "first_token_cold_ms",
    "first_token_ms",
    "second_question_ms",
    "answer_ms",
    "decode_tokens_per_s",
)
"""Everything timed. "first_token": from the file's bytes to the first token of the first question
on an image, cold right after loading and then warm; "second_question": another question about
the same image; "answer": from the file's bytes to the last token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a point took, in MiB (2**20 bytes); None where this machine or engine cannot tell."""

    disk: float
    """The build's files, or the checkpoint's where there is no build."""
    static: float | None
    """Parameters and buffers as the published figures count them: without scales."""
    static_with_scales: float
    resident: float | None
    """Resident set once open and warm, before an answer."""
    proportional: float | None
    """The same with memory shared between processes divided among them (Linux's PSS)."""
    anonymous: float | None
    """Of the resident set, what is no file's: it cannot be dropped."""
    dynamic: float | None
    """Mean over answers of the highest level while answering, weights included: the published
    definition. Of a GPU what torch allocated, else the resident set."""
    above_static: float | None
    """`dynamic` less `static_with_scales`."""
    peak: float | None
    """Most the process ever held, opening included."""
    gpu_allocated: float | None = None
    """Most that torch's allocator gave out."""
    gpu_reserved: float | None = None
    """Most that torch's allocator held."""
    gpu_driver: float | None = None
    """What the driver says the process holds, its context included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What answers cost in electricity."""

    counter: str
    """"rapl", "nvml" or "ina3221": whose figure it is."""
    joules_per_answer: Measurement
    watts: float
    """Mean while answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the machine was doing meanwhile: whether the clock can be believed."""

    used_by_others: float | None
    """Share of all processors' time that other processes used, mean over the measuring; None
    where the system does not say."""
    stolen: float | None
    """Share that the hypervisor kept; None where the system does not say."""
    throttled: bool | None
    """Whether the processor or GPU slowed itself down for heat; None where it does not say."""
    widest_spread: float
    """Largest spread of the figures that must be quiet."""
    widest_figure: str
    is_busy: bool
    """Measured all the same on a busy machine, because the user said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One model in one scheme, measured."""

    model: str
    scheme: str
    engine: str
    device: str
    """"cpu" or the GPU's name."""
    threads: int
    weights_sha256: str
    """As evaluations' run.json has it: what joins cost to quality."""
    is_random: bool
    """Random weights of a known shape: answers mean nothing, times and memory hold."""
    parity: str
    """What the parity gate says of the build: "passed", "failed", "unseen", or "none" where
    there is no build."""
    image: str
    """Name of the image file, its kind and size."""
    image_tokens: int
    prompt_tokens: int
    answer_tokens: int
    figures: Mapping[str, Measurement]
    """By the names in FIGURES."""
    memory: Memory
    energy: Energy | None
    """None where no counter can be read: not available, never zero."""
    conditions: Conditions
    predicted: Mapping[str, float]
    """What the plan had said, by the names in FIGURES and "peak_mib", "static_mib", "disk_mib"."""
    notes: tuple[str, ...] = ()
    """What a reader must know: what could not be timed and why, what the plan took for granted."""

    @property
    def name(self) -> str:
        """What a person calls it: "MODEL:SCHEME"."""
        return f"{self.model}:{self.scheme}"


def point_row(point: Point) -> dict[str, Any]:
    """A point as JSON."""
    return asdict(point)


def read_point(row: Mapping[str, Any]) -> Point:
    """A point from what `point_row` wrote.

    Raises:
        KeyError, TypeError: If it is none; the caller names the file.
    """
    energy = row["energy"]
    if energy is not None:
        energy = Energy(
            **(energy | {"joules_per_answer": Measurement(**energy["joules_per_answer"])})
        )
    return Point(
        **{
            **row,
            "figures": {name: Measurement(**one) for name, one in row["figures"].items()},
            "memory": Memory(**row["memory"]),
            "energy": energy,
            "conditions": Conditions(**row["conditions"]),
            "notes": tuple(row.get("notes", ())),
        }
    )
