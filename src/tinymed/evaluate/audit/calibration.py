"""The calibration of one model: fitted on a split of its own, kept in a file, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinymed.errors import DataError
from tinymed.evaluate.audit.figures import Floats
from tinymed.evaluate.audit.platt import PlattMap, fit_platt
from tinymed.evaluate.metrics.table import accuracy
from tinymed.evaluate.pairing import Pair
from tinymed.records import AnswerType
from tinymed.runs import write_json

CALIBRATION_FILE = "calibration.json"
RIGHT = (
    "A closed question by closed_accuracy, an open one by open_exact_match; "
    "an answer that decides nothing is wrong."
)
_FORMULA = "1 / (1 + exp(-(a * log(c / (1 - c)) + b))), c the confidence within [1e-6, 1 - 1e-6]"
_ANSWER_TYPES: tuple[AnswerType, ...] = ("closed", "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCalibration:
    """What was fitted to the answers of one type."""

    num_samples: int
    num_right: int
    a: float | None
    """None where nothing could be fitted; `reason` then says why."""
    b: float | None
    reason: str | None = None

    @property
    def platt(self) -> PlattMap | None:
        """The map, where there is one."""
        return None if self.a is None or self.b is None else PlattMap(a=self.a, b=self.b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Maps from confidence to the probability of being right, and what they hold for."""

    model: str
    engine: str
    weights_sha256: str
    prompt_template: str
    split: str
    """File name of the samples fitted to."""
    split_sha256: str
    """Of the samples fitted to, all or as limited."""
    by_type: Mapping[AnswerType, TypeCalibration]
    right: str = RIGHT

    def __call__(self, confidence: Floats, answer_types: Sequence[AnswerType]) -> Floats | None:
        """Calibrated confidences, shape (items,), or None if a type among them has no map."""
        calibrated = np.empty(len(confidence))
        for answer_type in set(answer_types):
            found = self.by_type.get(answer_type)
            if found is None or found.platt is None:
                return None
            inside = np.array([one == answer_type for one in answer_types])
            calibrated[inside] = found.platt(confidence[inside])
        return calibrated


def calibrate(confidence: Floats, right: Floats) -> TypeCalibration:
    """Fit to the answers of one type; where that cannot be, say why.

    Args:
        confidence: Shape (items,), in [0, 1].
        right: Shape (items,), 1 or 0.
    """
    a, b, reason = None, None, None
    try:
        fitted = fit_platt(confidence, right)
        a, b = fitted.a, fitted.b
    except DataError as error:
        reason = str(error)
    return TypeCalibration(
        num_samples=len(right), num_right=int(right.sum()), a=a, b=b, reason=reason
    )


def calibrate_types(pairs: Sequence[Pair]) -> dict[AnswerType, TypeCalibration]:
    """Fit closed and open questions apart: being right means another thing in each.

    Raises:
        DataError: If an answer has no confidence.
    """
    by_type = {
        answer_type: [one for one in pairs if one.sample.answer_type == answer_type]
        for answer_type in _ANSWER_TYPES
    }
    return {
        answer_type: calibrate(confidences(some), rightness(some))
        for answer_type, some in by_type.items()
    }


def confidences(pairs: Sequence[Pair]) -> Floats:
    """The model's own confidence of each answer, shape (items,).

    Raises:
        DataError: If an answer has none.
    """
    without = [one.sample.id for one in pairs if one.prediction.confidence is None]
    if without:
        raise DataError(f"{len(without)} answers have no confidence (first: {without[:3]}).")
    return np.array([one.prediction.confidence for one in pairs], dtype=np.float64)


def rightness(pairs: Sequence[Pair]) -> Floats:
    """1 for each right answer, 0 for a wrong one or one that decides nothing; shape (items,)."""
    return np.array([accuracy(one) or 0.0 for one in pairs], dtype=np.float64)


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """A calibration as JSON, as `calibration.json` holds it."""
    return {**asdict(calibration), "formula": _FORMULA}


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write the file that `read_calibration` reads."""
    write_json(path, calibration_json(calibration))


def read_calibration(path: Path, *, weights_digest: str, prompt_template: str) -> Calibration:
    """Read a calibration for a model that is about to answer.

    Raises:
        DataError: If the file cannot be read, or was made with other weights or another prompt.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found.pop("formula")
        by_type = {name: TypeCalibration(**row) for name, row in found.pop("by_type").items()}
        calibration = Calibration(by_type=by_type, **found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"'{path}' is not a calibration: `tinymed evaluate audit --calibrate` makes one."
        ) from error
    for name, wanted in (("weights_sha256", weights_digest), ("prompt_template", prompt_template)):
        made_with = getattr(calibration, name)
        if made_with != wanted:
            raise DataError(
                f"'{path}' was made with another model: its {name} is {made_with!r}, here it is "
                f"{wanted!r}. Make one for this model with `tinymed evaluate audit --calibrate`."
            )
    return calibration
