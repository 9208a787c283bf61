"""Platt scaling: from a confidence to a probability of being right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymed.errors import DataError
from tinymed.evaluate.audit.figures import Floats

FEWEST_ANSWERS = 50
"""Fewer say too little: at 50, an accuracy is known to about 14 points either way."""
_CLIP = 1e-6
_MOST_STEPS = 100
_FLAT = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class PlattMap:
    """p = 1 / (1 + exp(-(a * log(c / (1 - c)) + b))), c the confidence within [1e-6, 1 - 1e-6]."""

    a: float
    """Above 0: a surer answer stays a surer answer."""
    b: float

    def __call__(self, confidence: Floats) -> Floats:
        """Probabilities of being right, of any shape.

        >>> PlattMap(a=1.0, b=0.0)(np.array([0.25, 0.5])).round(6).tolist()
        [0.25, 0.5]
        """
        return _sigmoid(self.a * _logit(confidence) + self.b)


def fit_platt(confidence: Floats, right: Floats) -> PlattMap:
    """Fit a and b to answers whose rightness is known.

    The most likely a and b for targets drawn in from 0 and 1, as Platt's: a right answer
    counts as (r + 1) / (r + 2), a wrong one as 1 / (w + 2), with r right and w wrong
    answers. His score is here the confidence's log odds, so that a = 1, b = 0 change
    nothing, and his A and B are -a and -b. By Newton's method with halved steps.

    Args:
        confidence: Shape (items,), in [0, 1].
        right: Shape (items,), 1 or 0.

    Raises:
        DataError: If the answers cannot carry a fit; says why.

    Source:
        Platt (1999), "Probabilistic outputs for support vector machines", section 2; the
        safeguards: Lin, Lin and Weng (2007), "A note on Platt's probabilistic outputs".
    """
    num_right = int(right.sum())
    num_wrong = len(right) - num_right
    if len(right) < FEWEST_ANSWERS:
        raise DataError(f"Only {len(right)} answers to fit to; {FEWEST_ANSWERS} are the least.")
    if not num_right or not num_wrong:
        raise DataError(f"All {len(right)} answers are {'right' if num_right else 'wrong'}.")
    scores = _logit(confidence)
    if np.ptp(scores) < _FLAT:
        raise DataError(f"All {len(right)} answers have the same confidence.")
    targets = np.where(right > 0, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    a, b = _newton(np.column_stack([scores, np.ones(len(scores))]), targets)
    if a <= 0:
        raise DataError(
            f"Surer answers are not more often right (slope {a:.3f}): "
            "this confidence tells nothing about the answer."
        )
    return PlattMap(a=float(a), b=float(b))


def _newton(columns: Floats, targets: Floats) -> Floats:
    """The weights of the columns with the least cross-entropy, which is convex in them."""
    weights = np.zeros(columns.shape[1])
    loss = _cross_entropy(columns @ weights, targets)
    for _ in range(_MOST_STEPS):
        chances = _sigmoid(columns @ weights)
        gradient = columns.T @ (chances - targets)
        if np.abs(gradient).max() < _FLAT * len(targets):
            break
        curvature = (columns.T * (chances * (1 - chances))) @ columns
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(weights)), gradient)
        length = 1.0
        while length > _FLAT:
            nearer = weights - length * step
            new_loss = _cross_entropy(columns @ nearer, targets)
            if new_loss <= loss - 1e-4 * length * float(gradient @ step):
                break
            length /= 2
        else:
            # No step lowers the loss by more than rounding: this is the minimum.
            break
        weights, loss = nearer, new_loss
    return weights


def _cross_entropy(scores: Floats, targets: Floats) -> float:
    return float((np.logaddexp(0, scores) - targets * scores).sum())


def _sigmoid(scores: Floats) -> Floats:
    # In halves of tanh it cannot overflow.
    return (1 + np.tanh(scores / 2)) / 2


def _logit(confidence: Floats) -> Floats:
    clipped = np.clip(confidence, _CLIP, 1 - _CLIP)
    return np.log(clipped) - np.log1p(-clipped)
