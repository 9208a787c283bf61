"""Asking a model about an image: what the command line, and `import tinymed`, offer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinymed.engines.protocol import Answer, EncodedImage, Engine, prepared
from tinymed.errors import UserError
from tinymed.hardware.memory import peak_memory_mib
from tinymed.images.intake import read_image
from tinymed.models.catalog import DEFAULT_MODEL, find, split_address
from tinymed.models.fetch import require_parts
from tinymed.models.manifest import Manifest
from tinymed.quantize.first_use import open_compared
from tinymed.records import NOTICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Which model answers, and on what."""

    model: str = DEFAULT_MODEL
    """A model's address, as `tinymed.models.catalog` has it: "nano", "nano:gguf-q8_0"."""
    threads: int | None = None
    """Processor threads; None lets the engine choose."""
    force_build: str | None = None
    """"MODEL:SCHEME" of a build to use although the parity gate failed it or never saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskResult:
    """One answer with what it cost; over several questions of one image the costs add up."""

    question: str
    answer: str
    confidence: float
    """The model's own probability of exactly this answer, in [0, 1]; not calibrated."""
    model: str
    scheme: str
    """How its weights are stored and what runs them: `tinymed.models.schemes`."""
    load_ms: float
    """Opening the model; 0 from the second question on."""
    encode_ms: float
    """Vision encoder and connector; 0 from the second question on."""
    prefill_ms: float
    """Language model up to and including the first token; the image's share falls on the
    first question."""
    decode_ms: float
    """Every token after the first."""
    num_image_tokens: int
    peak_memory_mib: float | None
    """Most memory this process has held so far; None where the system does not say."""
    image_notes: tuple[str, ...]
    """What was done to the image before the model saw it."""
    notice: str = NOTICE


def ask(
    image: Path,
    question: str,
    *,
    asker: Asker | None = None,
    on_text: Callable[[str], None] | None = None,
) -> AskResult:
    """Ask one question about one image file.

    Args:
        image: PNG, JPEG or DICOM.
        question: In plain words.
        asker: Which model, engine and threads; None is the recommended choice.
        on_text: Receives each new piece of the answer as it is decoded.

    Raises:
        UserError: If the question is empty, the image cannot be read, no model has that
            name, or the model's parts have not been fetched. Nothing is loaded before
            these have been checked.
    """
    return next(ask_each(image, [question], asker=asker, on_text=on_text))


def ask_each(
    image: Path,
    questions: Sequence[str],
    *,
    asker: Asker | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Iterator[AskResult]:
    """Ask several questions about one image file, which is encoded once.

    Arguments and errors are those of `ask`; a question is answered when its result is taken.
    """
    asker = asker or Asker()
    if not all(question.strip() for question in questions):
        raise UserError("The question is empty. Write it in quotes after the image.")
    base, _ = split_address(asker.model)
    found = find(base)
    picture = read_image(image)
    if isinstance(found, Manifest):
        require_parts(found)
    start = time.perf_counter()
    engine = open_compared(asker.model, threads=asker.threads, force_build=asker.force_build)
    load_ms = 1000 * (time.perf_counter() - start)
    encoded = engine.encode(prepared(engine, picture))
    for index, question in enumerate(questions):
        answer = engine.answer(encoded, question, on_text=on_text)
        yield _result(
            question,
            answer,
            engine=engine,
            first_costs=(load_ms, encoded) if index == 0 else None,
            num_image_tokens=encoded.num_image_tokens,
            image_notes=picture.notes,
        )


def _result(
    question: str,
    answer: Answer,
    *,
    engine: Engine,
    first_costs: tuple[float, EncodedImage] | None,
    num_image_tokens: int,
    image_notes: tuple[str, ...],
) -> AskResult:
    load_ms, encode_ms, image_prefill_ms = 0.0, 0.0, 0.0
    if first_costs is not None:
        load_ms, encoded = first_costs
        encode_ms, image_prefill_ms = encoded.encode_ms, encoded.prefill_ms
    return AskResult(
        question=question,
        answer=answer.text,
        confidence=answer.confidence,
        model=engine.model,
        scheme=engine.scheme,
        load_ms=load_ms,
        encode_ms=encode_ms,
        prefill_ms=image_prefill_ms + answer.prefill_ms,
        decode_ms=answer.decode_ms,
        num_image_tokens=num_image_tokens,
        peak_memory_mib=peak_memory_mib(),
        image_notes=image_notes,
    )
