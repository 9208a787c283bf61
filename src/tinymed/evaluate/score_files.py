"""Predictions made anywhere, scored from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tinymed
from tinymed.evaluate.assess import assess, blind_answers
from tinymed.evaluate.report.report import Report
from tinymed.jsonl import read_predictions, read_samples, samples_digest


def score_files(
    samples: Path,
    predictions: Path,
    *,
    train: Path | None = None,
    candidates: Sequence[str | int] | None = None,
    seed: int = 0,
) -> Report:
    """Score predictions beside the controls that need no model.

    Args:
        samples: JSON lines of samples.
        predictions: JSON lines, one for each sample.
        train: Samples that the predictions' maker was trained on; without them two
            controls and the leakage report are left out.
        candidates: For `llava_med_open_candidate`.
        seed: Of the bootstrap.

    Raises:
        DataError: If a file cannot be used or the two do not match one to one.
    """
    asked = read_samples(samples)
    given = read_predictions(predictions)
    trained_on = None if train is None else read_samples(train)
    blind = blind_answers(asked, trained_on)
    return assess(
        asked,
        {"model": given, **blind.conditions},
        run={
            "command": "evaluate score",
            "predictions": predictions.name,
            "samples": samples.name,
            "samples_sha256": samples_digest(asked),
            "train": None if train is None else train.name,
            "train_sha256": None if trained_on is None else samples_digest(trained_on),
            "seed": seed,
            "tinymed_version": tinymed.__version__,
        },
        train=trained_on,
        candidates=candidates,
        notes=blind.notes,
    )
