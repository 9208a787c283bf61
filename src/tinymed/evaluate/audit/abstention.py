"""Withholding the answers a model is least sure of: chosen on one split, tried on another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinymed.errors import DataError
from tinymed.evaluate.audit.calibration import confidences, rightness
from tinymed.evaluate.audit.confidence import COVERAGE
from tinymed.evaluate.audit.figures import Figure, Floats, Resamples
from tinymed.evaluate.audit.subsets import by_subset
from tinymed.evaluate.metrics.table import accuracy
from tinymed.evaluate.metrics.verdict import is_refusal
from tinymed.evaluate.pairing import Pair
from tinymed.evaluate.score import cluster

FEWEST_ANSWERED = 30
"""A threshold that fewer answers of the calibration split reach is chance, not a choice."""

Policy = Literal["target-accuracy", "coverage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold of the raw confidence, and how the split it was chosen on fares with it."""

    value: float
    """Answers with at least this confidence are given."""
    coverage: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """One policy over one subset, chosen on the calibration split, measured on the test."""

    subset: str
    policy: Policy
    target: float
    """The accuracy, or the share of answers, aimed at."""
    threshold: Threshold | None
    """None where there is none to choose; `reason` then says why."""
    reason: str | None
    coverage: Figure | None
    """Share of test answers given; None, like those below, without a threshold."""
    accuracy: Figure | None
    """Among the answers given."""
    wrong_withheld: Figure | None
    """Share of all wrong answers that are withheld."""
    right_withheld: Figure | None
    """Share of all right answers that are withheld: the price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """Answers by which the model itself said that it cannot tell, or nothing that decides."""

    subset: str
    num_samples: int
    num_refusals: int
    num_undecided: int
    """That accuracy cannot judge, refusals included; they count as wrong."""


def declined(pairs: Sequence[Pair]) -> list[Declined]:
    """Count the model's own refusals."""
    return [
        Declined(
            subset=subset,
            num_samples=len(some),
            num_refusals=sum(is_refusal(one.prediction.text) for one in some),
            num_undecided=sum(accuracy(one) is None for one in some),
        )
        for subset, some in by_subset(pairs).items()
    ]


def abstention(
    calibration: Sequence[Pair], test: Sequence[Pair], *, target_accuracy: float, seed: int = 0
) -> list[Abstention]:
    """Choose thresholds on the calibration split and measure them on the test.

    Platt scaling keeps the order of answers of one type, so the raw confidence serves.
    """
    calibration_subsets = by_subset(calibration)
    policies: tuple[tuple[Policy, float, _Choose], ...] = (
        ("target-accuracy", target_accuracy, threshold_for_accuracy),
        ("coverage", COVERAGE, threshold_for_coverage),
    )
    whole = [cluster(one.sample) for one in test]
    rows = []
    for subset, pairs in by_subset(test).items():
        chosen_on = calibration_subsets.get(subset, [])
        confidence, right = confidences(chosen_on), rightness(chosen_on)
        groups = [cluster(one.sample) for one in pairs]
        resamples = Resamples(groups, whole=whole, seed=seed)
        for policy, target, choose in policies:
            threshold, reason = None, None
            try:
                threshold = choose(confidence, right, target)
            except DataError as error:
                reason = str(error)
            rows.append(
                Abstention(
                    subset=subset,
                    policy=policy,
                    target=target,
                    threshold=threshold,
                    reason=reason,
                    **_measured(pairs, threshold, resamples),
                )
            )
    return rows


_Choose = Callable[[Floats, Floats, float], Threshold]


def threshold_for_accuracy(confidence: Floats, right: Floats, target: float) -> Threshold:
    """The lowest threshold above which at least `target` of the answers are right.

    Only thresholds that at least 30 answers reach are looked at.

    Raises:
        DataError: If there is none; says what comes nearest.

    Example:
        >>> confidence = np.repeat([0.9, 0.5, 0.1], 40)
        >>> right = np.concatenate([np.ones(40), np.ones(20), np.zeros(60)])
        >>> threshold_for_accuracy(confidence, right, 0.75)
        Threshold(value=0.5, coverage=0.6666666666666666, accuracy=0.75)
    """
    thresholds = _thresholds(confidence, right)
    for threshold in thresholds:
        if threshold.accuracy >= target:
            return threshold
    best = max(threshold.accuracy for threshold in thresholds)
    raise DataError(
        f"No threshold that {FEWEST_ANSWERED} answers of the calibration split reach gives an "
        f"accuracy of {100 * target:g} %; the best is {100 * best:.1f} %."
    )


def threshold_for_coverage(confidence: Floats, right: Floats, target: float) -> Threshold:
    """The highest threshold that at least `target` of the answers reach.

    Raises:
        DataError: If there are too few answers to choose by.

    Example:
        >>> confidence = np.arange(50) / 50
        >>> threshold_for_coverage(confidence, np.ones(50), 0.8).value
        0.2
    """
    # The lowest threshold is reached by every answer.
    return [one for one in _thresholds(confidence, right) if one.coverage >= target][-1]


def _thresholds(confidence: Floats, right: Floats) -> list[Threshold]:
    """Every confidence that occurs and that enough answers reach, the lowest first."""
    if len(right) < FEWEST_ANSWERED:
        raise DataError(
            f"The calibration split has {len(right)} such answers; "
            f"{FEWEST_ANSWERED} are the least to choose by."
        )
    values, place = np.unique(confidence, return_inverse=True)
    reached_by = _from_here_on(np.bincount(place))
    num_right = _from_here_on(np.bincount(place, weights=right))
    return [
        Threshold(value=value, coverage=number / len(right), accuracy=good / number)
        for value, number, good in zip(
            values.tolist(), reached_by.tolist(), num_right.tolist(), strict=True
        )
        if number >= FEWEST_ANSWERED
    ]


def _from_here_on(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.cumsum(counts[::-1])[::-1]


def _measured(
    pairs: Sequence[Pair], threshold: Threshold | None, resamples: Resamples
) -> dict[str, Figure | None]:
    if threshold is None:
        return dict.fromkeys(("coverage", "accuracy", "wrong_withheld", "right_withheld"))
    right = rightness(pairs)
    given = confidences(pairs) >= threshold.value
    withheld = (~given).astype(np.float64)
    return {
        "coverage": resamples.share(given.astype(np.float64)),
        "accuracy": resamples.share(right, among=given),
        "wrong_withheld": resamples.share(withheld, among=right == 0),
        "right_withheld": resamples.share(withheld, among=right == 1),
    }
