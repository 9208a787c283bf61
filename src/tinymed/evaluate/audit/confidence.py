"""How far a confidence can be believed: its measures, each of one confidence an answer.

Throughout, `confidence` has shape (items,) in [0, 1], and `right` has shape (items,) with 1
for a right answer and 0 for a wrong one; neither is empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tinymed.evaluate.audit.figures import Figure, Floats, Resamples

NUM_BINS = 15
COVERAGE = 0.8
_MOST_POINTS = 200

Kind = Literal["raw", "calibrated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The answers whose confidence lies above `low` and up to `high` (0 is in the first)."""

    low: float
    high: float
    num_samples: int
    mean_confidence: float | None
    """None in an empty bin."""
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskCoveragePoint:
    """What is wrong (risk) among the answered, where a share (coverage) is answered."""

    coverage: float
    risk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Every measure of one confidence over one subset."""

    subset: str
    kind: Kind
    num_samples: int
    accuracy: Figure
    mean_confidence: float
    ece: float
    """15 bins of equal width. Biased upwards where bins are small: even a perfectly
    calibrated confidence gets more than 0. The bootstrap would add to the bias, so there
    is no interval."""
    ece_equal_mass: float
    """15 bins of equally many answers; else the same."""
    brier: Figure
    auroc: Figure
    aurc: float
    accuracy_at_80: Figure
    """Accuracy among the surest 80 % of answers."""
    reliability: tuple[ReliabilityBin, ...]
    risk_coverage: tuple[RiskCoveragePoint, ...]
    """At most 200 points; the last is at coverage 1."""


def measure(
    confidence: Floats, right: Floats, resamples: Resamples, *, subset: str, kind: Kind
) -> Confidence:
    """Take every measure; intervals are of whole groups resampled."""
    return Confidence(
        subset=subset,
        kind=kind,
        num_samples=len(right),
        accuracy=resamples.share(right),
        mean_confidence=float(confidence.mean()),
        ece=expected_calibration_error(confidence, right),
        ece_equal_mass=equal_mass_calibration_error(confidence, right),
        brier=resamples.mean((confidence - right) ** 2),
        auroc=resamples.figure(
            lambda times: _auroc(*_by_level(confidence, right, times)),
            undefined="All answers are right." if right.all() else "All answers are wrong.",
        ),
        aurc=area_under_risk_coverage(confidence, right),
        accuracy_at_80=resamples.figure(
            lambda times: _accuracy_at_coverage(*_by_level(confidence, right, times), COVERAGE)
        ),
        reliability=tuple(reliability(confidence, right)),
        risk_coverage=tuple(risk_coverage(confidence, right)),
    )


def reliability(confidence: Floats, right: Floats) -> list[ReliabilityBin]:
    """Mean confidence beside accuracy in 15 bins of equal width, open below, closed above."""
    edges = np.arange(NUM_BINS + 1) / NUM_BINS
    bin_of = np.digitize(confidence, edges[1:-1], right=True)
    bins = []
    for number in range(NUM_BINS):
        inside = bin_of == number
        count = int(inside.sum())
        bins.append(
            ReliabilityBin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                num_samples=count,
                mean_confidence=float(confidence[inside].mean()) if count else None,
                accuracy=float(right[inside].mean()) if count else None,
            )
        )
    return bins


def expected_calibration_error(confidence: Floats, right: Floats) -> float:
    """Mean distance between confidence and accuracy over 15 bins of equal width.

    Source:
        Guo et al. (2017), "On calibration of modern neural networks", ICML, equation 3.

    Example:
        >>> confidence, right = np.full(10, 0.9), np.array([1.0] * 7 + [0.0] * 3)
        >>> round(expected_calibration_error(confidence, right), 6)
        0.2
    """
    gaps = 0.0
    for one in reliability(confidence, right):
        if one.mean_confidence is not None and one.accuracy is not None:
            gaps += one.num_samples * abs(one.accuracy - one.mean_confidence)
    return gaps / len(right)


def equal_mass_calibration_error(confidence: Floats, right: Floats) -> float:
    """The same over 15 bins of equally many answers, or one more.

    Answers tied across a border of bins each stand for their tie's mean accuracy.

    Source:
        Nixon et al. (2019), "Measuring calibration in deep learning", section 3.2.
    """
    order, errors = _surest_first(confidence, right)
    gaps = confidence[order] - (1 - errors)
    bins = np.array_split(gaps, NUM_BINS)
    return float(sum(abs(one.sum()) for one in bins) / len(right))


def auroc(confidence: Floats, right: Floats) -> float:
    """How often a right answer is surer than a wrong one, ties counted half; NaN without both.

    Source:
        Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve",
        Radiology 143.

    Example:
        >>> auroc(np.array([0.9, 0.5, 0.5]), np.array([1.0, 1.0, 0.0]))
        0.75
    """
    return float(_auroc(*_by_level(confidence, right, np.ones((1, len(right)))))[0])


def _auroc(num_right: Floats, num_wrong: Floats) -> Floats:
    wrong_below = np.cumsum(num_wrong, axis=1) - num_wrong
    surer = (num_right * (wrong_below + num_wrong / 2)).sum(axis=1)
    pairs = num_right.sum(axis=1) * num_wrong.sum(axis=1)
    return np.where(pairs > 0, surer / np.maximum(pairs, 1), math.nan)


def risk_coverage(confidence: Floats, right: Floats) -> list[RiskCoveragePoint]:
    """The curve at every confidence that occurs, thinned to 200 points.

    Source:
        Geifman and El-Yaniv (2017), "Selective classification for deep neural networks".
    """
    order, errors = _surest_first(confidence, right)
    surest_first = confidence[order]
    # A threshold answers a whole tie or nothing of it.
    ends = np.flatnonzero(np.append(surest_first[1:] < surest_first[:-1], [True]))
    if len(ends) > _MOST_POINTS:
        ends = ends[np.linspace(0, len(ends) - 1, _MOST_POINTS).round().astype(np.intp)]
    risks = np.cumsum(errors)
    return [
        RiskCoveragePoint(
            coverage=float((end + 1) / len(right)), risk=float(risks[end] / (end + 1))
        )
        for end in ends
    ]


def area_under_risk_coverage(confidence: Floats, right: Floats) -> float:
    """Mean risk over the coverages 1/n, 2/n, …, 1 (AURC); lower is better.

    Within a tie it is the expectation over a random order.

    Source:
        Geifman, Uziel and El-Yaniv (2019), "Bias-reduced uncertainty estimation for deep
        neural classifiers", ICLR, section 2.

    Example:
        >>> area_under_risk_coverage(np.array([0.9, 0.1]), np.array([1.0, 0.0]))
        0.25
    """
    _, errors = _surest_first(confidence, right)
    return float((np.cumsum(errors) / np.arange(1, len(errors) + 1)).mean())


def accuracy_at_coverage(confidence: Floats, right: Floats, *, coverage: float) -> float:
    """Accuracy among the surest answers, as many as make up the coverage, rounded up.

    Where the border falls inside a tie, it is the expectation over a random order.

    Example:
        >>> confidence, right = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([1.0, 1, 0, 0, 0])
        >>> round(accuracy_at_coverage(confidence, right, coverage=0.4), 6)
        0.666667
    """
    levels = _by_level(confidence, right, np.ones((1, len(right))))
    return float(_accuracy_at_coverage(*levels, coverage)[0])


def _accuracy_at_coverage(num_right: Floats, num_wrong: Floats, coverage: float) -> Floats:
    surest_first = (num_right + num_wrong)[:, ::-1]
    # A coverage of 0.8 of 10 is 8 answers, whatever the last bit of the product.
    wanted = np.ceil(coverage * surest_first.sum(axis=1, keepdims=True) - 1e-9)
    above = np.cumsum(surest_first, axis=1) - surest_first
    taken = np.clip(wanted - above, 0, surest_first)
    right_share = num_right[:, ::-1] / np.maximum(surest_first, 1)
    accuracy: Floats = (taken * right_share).sum(axis=1) / wanted[:, 0]
    return accuracy


def _by_level(confidence: Floats, right: Floats, times: Floats) -> tuple[Floats, Floats]:
    """How many are right and how many wrong at each confidence that occurs, the lowest first.

    Args:
        confidence: Shape (items,).
        right: Shape (items,).
        times: How often each item counts, shape (rows, items).

    Returns:
        Two of shape (rows, levels).
    """
    order = np.argsort(confidence, kind="stable")
    _, starts = np.unique(confidence[order], return_index=True)
    counts = times[:, order]
    num_right = np.add.reduceat(counts * right[order], starts, axis=1)
    return num_right, np.add.reduceat(counts, starts, axis=1) - num_right


def _surest_first(confidence: Floats, right: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """The order of falling confidence, and in it the errors, each its tie's mean."""
    _, place = np.unique(-confidence, return_inverse=True)
    errors = np.bincount(place, weights=1 - right) / np.bincount(place)
    order = np.argsort(place, kind="stable")
    return order, errors[place[order]]
