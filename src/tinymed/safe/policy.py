"""What was measured for one model: thresholds, calibration, and what each gate costs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinymed.models
from tinymed.engines.protocol import Engine
from tinymed.errors import DataError
from tinymed.evaluate.audit.abstention import Threshold
from tinymed.evaluate.audit.calibration import TypeCalibration
from tinymed.records import AnswerType
from tinymed.runs import write_json
from tinymed.safe.image.scope import SCOPE_FILE, Scope
from tinymed.safe.safe_answer import Calibrated, QuestionKind

POLICY_FILE = "policy.json"
_SHIPPED = Path(tinymed.models.__file__).parent / "shipped"
_HOW_TO_MAKE = "Make one for this model with `tinymed evaluate gates`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A threshold of the confidence, or why there is none."""

    threshold: Threshold | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCost:
    """What gates cost one kind of question on one split, where they withhold."""

    split: str
    gates: str
    """Such as "polarity" (alone), "all", "all but polarity" or "as shipped"."""
    kind: str
    """"yes-no", "choice", "open" or "all"."""
    num_samples: int
    coverage: float | None
    """Share of questions answered; each of these figures is None where nothing is counted."""
    accuracy: float | None
    """Among those answered."""
    wrong_withheld: float | None
    """Share of the wrong answers that are withheld."""
    right_withheld: float | None
    """Share of the right answers that are withheld: the price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyPolicy:
    """What holds for exactly these weights and this prompt, fitted on a validation split.

    Confidences are those of a safe answer: of a choice among the choices, of an open
    answer's words. Closed and open questions are told apart by `read_question`.
    """

    model: str
    scheme: str
    weights_sha256: str
    prompt_template: str
    split: str
    """What a person calls the split, such as "SLAKE validation"."""
    split_sha256: str
    """Of the samples fitted to, all or as limited."""
    num_samples: int
    target_accuracy: float
    """What answers that reach a threshold were to be right in, on the split."""
    thresholds: Mapping[AnswerType, Chosen]
    calibration: Mapping[AnswerType, TypeCalibration]
    costs: tuple[GateCost, ...] = ()

    def threshold(self, kind: QuestionKind) -> float | None:
        """The least confidence with which a question of this kind is answered."""
        chosen = self.thresholds[_answer_type(kind)].threshold
        return None if chosen is None else chosen.value

    def why_no_threshold(self, kind: QuestionKind) -> str:
        """Why there is none for this kind."""
        return self.thresholds[_answer_type(kind)].reason or ""

    def calibrated(self, kind: QuestionKind, confidence: float) -> Calibrated | None:
        """How often such answers were right on the split; None where nothing could be fitted."""
        fitted = self.calibration[_answer_type(kind)]
        if fitted.platt is None:
            return None
        return Calibrated(
            probability=float(fitted.platt(np.array([confidence]))[0]),
            num_samples=fitted.num_samples,
            split=self.split,
        )


def write_policy(folder: Path, policy: SafetyPolicy) -> None:
    """Write the file that `read_policy` reads."""
    write_json(folder / POLICY_FILE, asdict(policy))


def read_policy(folder: Path | None, engine: Engine) -> SafetyPolicy | None:
    """The policy for an engine that is about to answer.

    Args:
        folder: What `tinymed evaluate gates` wrote; None for what ships with tinymed.
        engine: Its weights and prompt have to be those that the policy was made with.

    Returns:
        None where no folder is named and nothing for exactly this model ships.

    Raises:
        DataError: If a folder is named and holds no policy, or one of another model.
    """
    if folder is None:
        return _shipped(engine)
    policy = _read(folder / POLICY_FILE)
    for name, made_with, wanted in _identity(policy, engine):
        if made_with != wanted:
            raise DataError(
                f"'{folder / POLICY_FILE}' was made with another model: its {name} is "
                f"{made_with!r}, here it is {wanted!r}. {_HOW_TO_MAKE}"
            )
    return policy


def read_scope(folder: Path | None, engine: Engine) -> Scope | None:
    """What a model's training images look like, beside its policy; None where that is not there.

    Args:
        folder: As in `read_policy`, which is to be asked first.
        engine: Will read the images.

    Raises:
        ModelError: If the file is damaged, or another model's.
    """
    path = policy_folder(folder, engine) / SCOPE_FILE
    return Scope.load(path, weights_sha256=engine.weights_digest) if path.is_file() else None


def policy_folder(folder: Path | None, engine: Engine) -> Path:
    """Where an engine's policy lies, and what else was measured with it."""
    return folder or shipped_policy_folder(engine.model, engine.scheme)


def shipped_policy_folder(model: str, scheme: str) -> Path:
    """Where the policy of a model that ships with tinymed lies."""
    return _SHIPPED / model / "safety" / scheme


def _shipped(engine: Engine) -> SafetyPolicy | None:
    folder = shipped_policy_folder(engine.model, engine.scheme)
    if not (folder / POLICY_FILE).is_file():
        return None
    policy = _read(folder / POLICY_FILE)
    is_same = all(made_with == wanted for _, made_with, wanted in _identity(policy, engine))
    return policy if is_same else None


def _identity(policy: SafetyPolicy, engine: Engine) -> Sequence[tuple[str, str, str]]:
    return (
        ("weights_sha256", policy.weights_sha256, engine.weights_digest),
        ("prompt_template", policy.prompt_template, engine.prompt_template),
    )


def _read(path: Path) -> SafetyPolicy:
    try:
        return _policy(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"'{path}' is not a safety policy. {_HOW_TO_MAKE}") from error


def _policy(row: dict[str, Any]) -> SafetyPolicy:
    thresholds = {kind: _chosen(found) for kind, found in row.pop("thresholds").items()}
    calibration = {kind: TypeCalibration(**found) for kind, found in row.pop("calibration").items()}
    if not set(thresholds) == set(calibration) == {"closed", "open"}:
        raise ValueError("closed and open are what a policy holds")
    _check_numbers(thresholds, calibration)
    costs = tuple(GateCost(**found) for found in row.pop("costs"))
    return SafetyPolicy(thresholds=thresholds, calibration=calibration, costs=costs, **row)


def _check_numbers(
    thresholds: Mapping[str, Chosen], calibration: Mapping[str, TypeCalibration]
) -> None:
    """Refuse what could not be compared or computed with when the first question comes."""
    least = [one.threshold.value for one in thresholds.values() if one.threshold is not None]
    maps = [one.platt for one in calibration.values() if one.platt is not None]
    numbers = [number for one in maps for number in (one.a, one.b)]
    if not (all(0 <= one <= 1 for one in least) and all(map(math.isfinite, numbers))):
        raise ValueError("a threshold is a probability, a and b are numbers")


def _chosen(row: dict[str, Any]) -> Chosen:
    found = row["threshold"]
    return Chosen(threshold=None if found is None else Threshold(**found), reason=row.get("reason"))


def _answer_type(kind: QuestionKind) -> AnswerType:
    return "open" if kind == "open" else "closed"
