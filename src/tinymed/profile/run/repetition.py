"""One repetition: an image from its file to the last token, each phase by its own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tinymed.engines.protocol import Answer, EncodedImage, Engine, prepared
from tinymed.images.intake import read_image
from tinymed.images.medical_image import MedicalImage
from tinymed.profile.run.observation import Questions, Repetition

LONGEST_ANSWER = 33
"""Tokens of the longer answer: the first, and 32 that are timed."""
_SHARE_CUT = 16
"""At most one in so many rows of pixels is cut off to make an image another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is read beside the clock, between the parts that are timed."""

    begin_peak: Callable[[], object]
    """Has the peak of memory begin at what is held now."""
    peak_mib: Callable[[], float | None]
    joules: Callable[[], float | None]
    """A counter that only grows; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An image that an engine has read, and how long each step on the way took."""

    encoded: EncodedImage
    decode_ms: float
    """The file's bytes to pixels."""
    preprocess_ms: float
    encode_ms: float
    """All of `Engine.encode`, by a clock outside of it."""

    @property
    def total_ms(self) -> float:
        """From the file to where a question can be asked."""
        return self.decode_ms + self.preprocess_ms + self.encode_ms


def see(engine: Engine, image: Path, *, turn: int) -> Seen:
    """Read an image file anew and have an engine encode it.

    Args:
        engine: Its `encode` returns when a GPU has done its work, so that clocks tell it.
        image: The file; the operating system may well hold its bytes.
        turn: Each gives other pixels, so that nothing can be answered from a cache.

    Raises:
        ImageError: If the file cannot be shown.
    """
    start = time.perf_counter()
    read = read_image(image)
    decoded = time.perf_counter()
    varied = _varied(read, turn)
    varied_at = time.perf_counter()
    pixels = prepared(engine, varied)
    ready = time.perf_counter()
    del read, varied  # as in any program that answers: only pixels go to the engine
    encoded = engine.encode(pixels)
    end = time.perf_counter()
    return Seen(
        encoded=encoded,
        decode_ms=1000 * (decoded - start),
        preprocess_ms=1000 * (ready - varied_at),
        encode_ms=1000 * (end - ready),
    )


def timed_answer(
    engine: Engine, encoded: EncodedImage, question: str, *, tokens: int
) -> tuple[Answer, float]:
    """An answer of at most so many tokens, and its ms by a clock outside of the engine."""
    start = time.perf_counter()
    answer = engine.answer(encoded, question, max_new_tokens=tokens)
    return answer, 1000 * (time.perf_counter() - start)


def repeat(
    engine: Engine, image: Path, asked: Questions, *, turn: int, gauges: Gauges
) -> Repetition:
    """Go once from an image's file to its answers.

    The three questions are asked about the one encoded image: "first token" and "answer" each
    count reading it, so they are what either question alone would have taken.

    Raises:
        ImageError: If the file cannot be shown.
        UserError: If a question does not fit the model.
    """
    gauges.begin_peak()
    before_image = gauges.joules()
    seen = see(engine, image, turn=turn)
    after_image = gauges.joules()
    first, first_ms = timed_answer(engine, seen.encoded, asked.first, tokens=1)
    _, second_ms = timed_answer(engine, seen.encoded, asked.second, tokens=1)
    before_answer = gauges.joules()
    longer, longer_ms = timed_answer(engine, seen.encoded, asked.longer, tokens=LONGEST_ANSWER)
    after_answer = gauges.joules()
    return Repetition(
        image_decode_ms=seen.decode_ms,
        preprocess_ms=seen.preprocess_ms,
        vision_ms=seen.encoded.encode_ms,
        image_prefill_ms=seen.encoded.prefill_ms,
        question_prefill_ms=first.prefill_ms,
        first_token_ms=seen.total_ms + first_ms,
        second_question_ms=second_ms,
        answer_ms=seen.total_ms + longer_ms,
        decode_ms=longer.decode_ms,
        answer_tokens=longer.num_tokens,
        image_tokens=seen.encoded.num_image_tokens,
        joules=_used((before_image, after_image), (before_answer, after_answer)),
        peak_mib=gauges.peak_mib(),
    )


def _varied(image: MedicalImage, turn: int) -> MedicalImage:
    """The same picture without its top rows, as many as the turn: costs no copy."""
    rows = turn % max(1, len(image.pixels) // _SHARE_CUT)
    return replace(image, pixels=image.pixels[rows:])


def _used(*spans: tuple[float | None, float | None]) -> float | None:
    """What a counter grew by over spans; None where it could not be read."""
    total = 0.0
    for before, after in spans:
        if before is None or after is None:
            return None
        total += after - before
    return total
