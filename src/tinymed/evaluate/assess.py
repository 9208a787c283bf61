"""Answers and the controls they must beat, scored side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinymed.errors import DataError
from tinymed.evaluate.controls import constant, nearest_question, question_only
from tinymed.evaluate.gains import gains
from tinymed.evaluate.leakage.report import find_leakage, leakage_json, warnings_of
from tinymed.evaluate.metrics.text_overlap import LEFT_OUT, is_available
from tinymed.evaluate.report.report import HEADINGS, Report
from tinymed.evaluate.score import resampled_scores
from tinymed.records import Prediction, Sample

CONSTANT = {"always-yes": "Yes", "always-no": "No"}
"""Controls that say the same to everything; how their text overlaps says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindAnswers:
    """Answers under each control that looks at no image."""

    conditions: Mapping[str, Sequence[Prediction]]
    notes: tuple[str, ...]
    """Which controls were left out, and why."""


def blind_answers(samples: Sequence[Sample], train: Sequence[Sample] | None) -> BlindAnswers:
    """Answer without a model: always yes, always no and, with train samples, by copying."""
    conditions = {name: constant(samples, text) for name, text in CONSTANT.items()}
    if train is None:
        missing = (
            "No question-only and no nearest-question control, no leakage report: name --train."
        )
        return BlindAnswers(conditions=conditions, notes=(missing,))
    conditions["question-only"] = question_only(train, samples)
    try:
        conditions["nearest-question"] = nearest_question(train, samples)
    except DataError as error:
        return BlindAnswers(conditions=conditions, notes=(str(error),))
    return BlindAnswers(conditions=conditions, notes=())


def assess(
    samples: Sequence[Sample],
    answers: Mapping[str, Sequence[Prediction]],
    *,
    run: Mapping[str, Any],
    train: Sequence[Sample] | None = None,
    candidates: Sequence[str | int] | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Score a model's answers and every control's, and say what train gives away.

    Args:
        samples: What was asked.
        answers: Predictions under "model" and, as far as there are any, the other
            conditions of HEADINGS.
        run: What the report says it is about; its "seed" seeds the bootstrap.
        train: What the model was trained on, for the leakage report.
        candidates: For `llava_med_open_candidate`.
        notes: What was left out so far.

    Raises:
        DataError: If predictions and samples do not match one to one.
    """
    leakage = None if train is None else find_leakage(train, samples)
    more_parts = {}
    if leakage is not None and leakage.image_in_train:
        in_train = leakage.image_in_train
        more_parts["image_in_train"] = [in_train.get(one.id, "(none)") for one in samples]
    libraries = () if is_available() else (LEFT_OUT,)
    found = {
        condition: resampled_scores(
            samples,
            answers[condition],
            candidates=candidates,
            more_parts=more_parts,
            overlap=condition not in CONSTANT,
            seed=run["seed"],
        )
        for condition in HEADINGS
        if condition in answers
    }
    return Report(
        run=run,
        conditions={
            condition: [one.score for one in scores] for condition, scores in found.items()
        },
        num_samples=len(samples),
        gains={
            condition: gains(found["model"], scores)
            for condition, scores in found.items()
            if condition != "model"
        },
        leakage=None if leakage is None else leakage_json(leakage),
        warnings=() if leakage is None else warnings_of(leakage),
        notes=(*notes, *libraries),
    )
