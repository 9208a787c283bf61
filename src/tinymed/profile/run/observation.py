"""What the measuring process is asked and what it tells: plain values that pass as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One point to measure."""

    scheme: str
    """A name in `schemes.SCHEMES`."""
    build: str | None
    """The build's folder; None where the model runs without one."""
    address: str
    """Of the model itself, as `catalog.find_source` takes it; read only where there is no
    build."""
    image: str
    """An image file."""
    question: str
    """The first question about it."""
    runs: int
    """Repetitions that count, after those that warm up."""
    threads: int | None
    """Processor threads; None lets the engine choose."""
    device: str
    """"auto", "cpu" or "cuda": what torch's engine computes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked in each repetition."""

    first: str
    second: str
    longer: str
    """The one whose answer is decoded to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """An image from its file to answers, once; times in ms."""

    image_decode_ms: float
    preprocess_ms: float
    vision_ms: float
    image_prefill_ms: float
    question_prefill_ms: float
    first_token_ms: float
    second_question_ms: float
    answer_ms: float
    """From the file to the last token of the longer answer."""
    decode_ms: float
    """Of the longer answer, every token after the first."""
    answer_tokens: int
    image_tokens: int
    joules: float | None
    """Used meanwhile, `answer_ms` long; None where no counter can be read."""
    peak_mib: float | None
    """Highest level meanwhile: of what a GPU's allocator gave out, else of the resident set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A fresh process's first answer."""

    import_s: float
    """Libraries, before the model is opened."""
    load_s: float
    """From the start of opening to an engine that can be asked."""
    first_token_cold_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Memory of the measuring process in MiB; None where the system does not tell."""

    resident: float | None = None
    """This and the next two once open and warm, before an answer."""
    proportional: float | None = None
    anonymous: float | None = None
    peak: float | None = None
    """Most held from the start of the process."""
    gpu_allocated: float | None = None
    gpu_reserved: float | None = None
    gpu_driver: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What else the machine did from opening to the last repetition; None where untold."""

    used_by_others: float | None
    """Share of all processors' time."""
    stolen: float | None
    """Share that the hypervisor kept."""
    throttled: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that a measuring process saw of one point."""

    model: str
    engine: str
    device: str
    """"cpu" or the GPU's name."""
    threads: int
    weights_sha256: str
    prompt_tokens: int
    """Of image and first question together."""
    questions: Questions
    opened: Opened
    repetitions: tuple[Repetition, ...]
    levels: Levels
    meanwhile: Meanwhile
    counter: str | None
    """The energy counter's name."""
    static_mib: float | None = None
    """Parameters and buffers; None where the engine keeps no torch model to count them in."""
    static_with_scales_mib: float | None = None


def read_observation(row: Mapping[str, Any]) -> Observation:
    """An observation from what `dataclasses.asdict` made of one.

    Raises:
        KeyError, TypeError: If it is none.
    """
    return Observation(
        **{
            **row,
            "questions": Questions(**row["questions"]),
            "opened": Opened(**row["opened"]),
            "repetitions": tuple(Repetition(**one) for one in row["repetitions"]),
            "levels": Levels(**row["levels"]),
            "meanwhile": Meanwhile(**row["meanwhile"]),
        }
    )
