"""Ask a model every question of a data set, and its controls, and score the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.engines.protocol import Engine
from tinymed.errors import DataError
from tinymed.evaluate.asking import (
    Encode,
    ask_all,
    how_asked,
    one_image,
    own_images,
    samples_to_ask,
)
from tinymed.evaluate.assess import assess, blind_answers
from tinymed.evaluate.controls import black_image, shuffled_images
from tinymed.evaluate.report.report import Report, report_json
from tinymed.evaluate.report.write import write_reports
from tinymed.evaluate.run_folder import (
    SAMPLES_FILE,
    SCORES_FILE,
    prediction_line,
    predictions_file,
)
from tinymed.evaluate.score import cluster
from tinymed.jsonl import read_samples, samples_digest, write_samples
from tinymed.records import Prediction, Sample
from tinymed.runs import only_one, open_run_folder, write_bytes, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What to ask and where to write."""

    samples: Path
    """JSON lines of samples, each with an image."""
    out: Path
    """Run folder: new, or one begun with the same settings, which is then finished."""
    train: Path | None = None
    """What the model was trained on, for two controls and the leakage report."""
    limit: int | None = None
    """Only the first so many samples."""
    controls: bool = True
    """Whether to ask again with the image blanked and with images shuffled."""
    images_in_report: bool = True
    """Whether report.html shows small copies of the images of the worst errors."""
    max_new_tokens: int = 64
    """An answer's longest length."""
    seed: int = 0
    """Of the shuffle and the bootstrap; the answers are greedy and need none."""


def run_evaluation(engine: Engine, settings: RunSettings) -> Report:
    """Ask, score, write the run folder and give back what it holds.

    Each image is encoded once a condition and asked all its questions. Answers go to disk
    as they come; a run that was killed goes on where it stopped when started again with
    the same settings, and its files end up the same as if it had not been killed.

    Raises:
        DataError: If the samples cannot be used, or the folder holds another run or is in use.
        ImageError: If an image cannot be read; what was answered until then is kept.
    """
    to_ask = samples_to_ask(settings.samples, settings.limit)
    samples = to_ask.samples
    train = None if settings.train is None else read_samples(settings.train)
    identity = _identity(engine, settings, to_ask.file_digest, train)
    with only_one(settings.out):
        open_run_folder(settings.out, identity)
        write_samples(settings.out / SAMPLES_FILE, samples)
        blind = blind_answers(samples, train)
        answers = dict(blind.conditions)
        for condition, predictions in answers.items():
            _keep(predictions_file(settings.out, condition), predictions)
        notes = list(blind.notes)
        for condition, encode in _asked(engine, samples, settings, notes).items():
            answers[condition] = ask_all(
                engine,
                samples,
                predictions_file(settings.out, condition),
                label=condition,
                encode=encode,
                max_new_tokens=settings.max_new_tokens,
            )
        report = assess(samples, answers, run=identity, train=train, notes=notes)
        write_json(settings.out / SCORES_FILE, report_json(report))
        write_reports(settings.out, with_images=settings.images_in_report)
    return report


def _identity(
    engine: Engine, settings: RunSettings, digest: str, train: Sequence[Sample] | None
) -> dict[str, Any]:
    """What makes this run this run; file names without folders, so that a copy goes on too."""
    train_digest = None if train is None else samples_digest(train)
    if digest == train_digest:
        raise DataError("The train samples are the very samples to evaluate; name the train split.")
    return {
        "command": "evaluate run",
        **how_asked(engine, max_new_tokens=settings.max_new_tokens),
        "samples": settings.samples.name,
        "samples_sha256": digest,
        "train": None if settings.train is None else settings.train.name,
        "train_sha256": train_digest,
        "limit": settings.limit,
        "seed": settings.seed,
    }


def _asked(
    engine: Engine, samples: Sequence[Sample], settings: RunSettings, notes: list[str]
) -> dict[str, Encode]:
    """What the model sees under each condition in which it is asked."""
    own = own_images(engine)
    conditions = {"model": own}
    if not settings.controls:
        notes.append("The model was not asked about black and about other images (--no-controls).")
        return conditions
    black = black_image(size_px=engine.preprocessing.size_px)
    conditions["blank"] = one_image(engine, black)
    images = [(image, cluster(one)) for one in samples if (image := one.image) is not None]
    try:
        exchanged = shuffled_images(images, seed=settings.seed)
    except DataError as error:
        notes.append(str(error))
    else:
        conditions["shuffled"] = lambda image: own(exchanged[image])
    return conditions


def _keep(path: Path, predictions: Sequence[Prediction]) -> None:
    write_bytes(path, "".join(map(prediction_line, predictions)).encode())
