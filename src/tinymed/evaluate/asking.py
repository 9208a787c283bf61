"""Asking a model every question of a data set, under one condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tinymed
from tinymed.engines.protocol import EncodedImage, Engine, prepared
from tinymed.errors import DataError
from tinymed.evaluate.run_folder import PredictionLog
from tinymed.images.intake import read_image
from tinymed.images.medical_image import MedicalImage
from tinymed.jsonl import read_predictions, read_samples, samples_digest
from tinymed.progress import Progress
from tinymed.records import Prediction, Sample

Encode = Callable[[Path], EncodedImage]
"""Encodes what stands in for an image under one condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToAsk:
    """Samples of a file that a model is asked."""

    samples: list[Sample]
    """All of the file, or the first of them."""
    file_digest: str
    """Of the whole file, however many of it are asked."""


def samples_to_ask(path: Path, limit: int | None) -> ToAsk:
    """Read the samples, or the first `limit` of them, all with an image.

    Raises:
        DataError: If one has none, or the limit leaves no samples.
    """
    if limit is not None and limit < 1:
        raise DataError(f"A limit of {limit} leaves no samples; it starts at 1.")
    whole = read_samples(path)
    samples = whole[:limit]
    without = [sample.id for sample in samples if sample.image is None]
    if without:
        raise DataError(f"{len(without)} samples of '{path}' have no image (first: {without[:3]}).")
    return ToAsk(samples=samples, file_digest=samples_digest(whole))


def how_asked(engine: Engine, *, max_new_tokens: int) -> dict[str, Any]:
    """What an answer depends on beside the question and the image, for a run's identity."""
    return {
        "model": engine.model,
        "engine": engine.name,
        "scheme": engine.scheme,
        "threads": engine.num_threads,
        "weights_sha256": engine.weights_digest,
        "prompt_template": engine.prompt_template,
        "decoding": "greedy",
        "questions_of_an_image": "asked together",
        "max_new_tokens": max_new_tokens,
        "tinymed_version": tinymed.__version__,
    }


def own_images(engine: Engine) -> Encode:
    """Encode each image as it is."""
    return lambda image: engine.encode(prepared(engine, read_image(image)))


def one_image(engine: Engine, picture: MedicalImage) -> Encode:
    """Encode one and the same picture, once, in place of every image."""
    encoded: list[EncodedImage] = []

    def encode(_: Path) -> EncodedImage:
        if not encoded:
            encoded.append(engine.encode(prepared(engine, picture)))
        return encoded[0]

    return encode


def ask_all(
    engine: Engine,
    samples: Sequence[Sample],
    path: Path,
    *,
    label: str,
    encode: Encode,
    max_new_tokens: int = 64,
) -> list[Prediction]:
    """Ask every sample's question about its image and keep the answers in `path`.

    Each image is encoded once and asked all its questions together. An image's answers go
    to disk as soon as they are there; an image whose answers `path` holds is not asked about
    again, so a run that was killed goes on where it was. Where some are missing all are
    asked, for answers given together can differ in the last digits with the company they
    are in, and only the missing ones are kept. Samples without an image are not asked.

    Returns:
        Everything that `path` holds, in the order in which it was answered.

    Raises:
        ImageError: If an image cannot be read; what was answered until then is kept.
    """
    by_image: dict[Path, list[Sample]] = {}
    for sample in samples:
        if sample.image is not None:
            by_image.setdefault(sample.image, []).append(sample)
    with (
        PredictionLog(path) as log,
        Progress(label, total=len(samples), done=len(log.answered)) as progress,
    ):
        for image, about_it in by_image.items():
            if all(sample.id in log.answered for sample in about_it):
                continue
            questions = [sample.question for sample in about_it]
            answers = engine.answer_all(encode(image), questions, max_new_tokens=max_new_tokens)
            new = [
                Prediction(id=sample.id, text=answer.text, confidence=answer.confidence)
                for sample, answer in zip(about_it, answers, strict=True)
                if sample.id not in log.answered
            ]
            log.extend(new)
            progress.step(len(new))
    return read_predictions(path)
