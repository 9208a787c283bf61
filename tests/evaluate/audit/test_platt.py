"""Platt scaling, beside scikit-learn's logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tinymed.errors import DataError
from tinymed.evaluate.audit.confidence import expected_calibration_error
from tinymed.evaluate.audit.platt import PlattMap, fit_platt


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def answers(number: int, *, a: float, b: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences off by a known map: right with sigmoid(a logit(c) + b)."""
    random = np.random.default_rng(seed)
    confidence = random.beta(2, 1, size=number)
    chance = 1 / (1 + np.exp(-(a * logit(confidence) + b)))
    return confidence, (random.random(number) < chance).astype(float)


@pytest.mark.parametrize(
    ("number", "a", "b"), [(50, 1.0, 0.0), (300, 0.4, -1.0), (5000, 2.5, 0.7), (400, 0.3, 3.0)]
)
def test_the_fit_is_the_logistic_regression_on_platts_targets(
    number: int, a: float, b: float
) -> None:
    confidence, right = answers(number, a=a, b=b)
    fitted = fit_platt(confidence, right)
    num_right, num_wrong = right.sum(), (1 - right).sum()
    target = np.where(right == 1, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    # A soft target is a right answer and a wrong one, weighted.
    peer = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
    peer.fit(
        np.tile(logit(confidence), 2)[:, None],
        np.repeat([1, 0], number),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    assert fitted.a == pytest.approx(peer.coef_[0, 0], rel=1e-5)
    assert fitted.b == pytest.approx(peer.intercept_[0], rel=1e-5, abs=1e-6)
    expected = peer.predict_proba(logit(confidence)[:, None])[:, 1]
    assert fitted(confidence) == pytest.approx(expected, abs=1e-6)


def test_a_known_distortion_is_found_and_undone() -> None:
    fitted = fit_platt(*answers(100_000, a=0.5, b=-0.8))
    assert (fitted.a, fitted.b) == (pytest.approx(0.5, abs=0.03), pytest.approx(-0.8, abs=0.03))
    confidence, right = answers(100_000, a=0.5, b=-0.8, seed=1)
    assert expected_calibration_error(confidence, right) > 0.2
    assert expected_calibration_error(fitted(confidence), right) < 0.01


def test_the_order_of_confidences_is_kept_and_extremes_stay_finite() -> None:
    mapped = PlattMap(a=0.7, b=-0.2)(np.array([0.0, 1e-9, 0.3, 0.6, 1.0]))
    assert np.isfinite(mapped).all()
    assert mapped[0] == mapped[1]
    assert (np.diff(mapped[1:]) > 0).all()
    assert (PlattMap(a=500.0, b=0.0)(np.array([0.0, 1.0])) == [0.0, 1.0]).all()


def test_perfectly_separated_answers_are_still_fitted() -> None:
    """Without Platt's targets the slope would grow without end."""
    confidence = np.repeat([0.2, 0.8], 40)
    fitted = fit_platt(confidence, (confidence > 0.5).astype(float))
    low, high = fitted(np.array([0.2, 0.8]))
    assert (low, high) == (pytest.approx(1 / 42, abs=1e-6), pytest.approx(41 / 42, abs=1e-6))


@pytest.mark.parametrize(
    ("confidence", "right", "reason"),
    [
        (np.linspace(0.1, 0.9, 49), np.arange(49) % 2, "Only 49 answers to fit to; 50 are"),
        (np.linspace(0.1, 0.9, 60), np.ones(60), "All 60 answers are right."),
        (np.linspace(0.1, 0.9, 60), np.zeros(60), "All 60 answers are wrong."),
        (np.full(60, 0.7), np.arange(60) % 2, "All 60 answers have the same confidence."),
        (np.linspace(0.1, 0.9, 60), np.arange(60) < 30, "Surer answers are not more often right"),
    ],
)
def test_what_cannot_carry_a_fit_says_why(
    confidence: np.ndarray, right: np.ndarray, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        fit_platt(confidence, right.astype(float))
