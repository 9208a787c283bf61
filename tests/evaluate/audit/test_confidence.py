"""Measures of confidence, beside scikit-learn's and on data whose probabilities are known."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from tinymed.evaluate.audit import confidence as measures
from tinymed.evaluate.audit.figures import Resamples

RANDOM = np.random.default_rng(7)


def known(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences that are exactly the probability of being right."""
    confidence = RANDOM.random(number)
    return confidence, (RANDOM.random(number) < confidence).astype(float)


@pytest.mark.parametrize("decimals", [1, 2, 16])
def test_auroc_and_brier_are_those_of_scikit_learn(decimals: int) -> None:
    confidence, right = known(400)
    confidence = confidence.round(decimals)
    found = measures.measure(
        confidence, right, Resamples([str(n) for n in range(400)]), subset="all", kind="raw"
    )
    assert found.auroc.value == pytest.approx(roc_auc_score(right, confidence), abs=1e-12)
    assert found.brier.value == pytest.approx(brier_score_loss(right, confidence), abs=1e-12)


def test_a_resample_is_measured_as_if_its_answers_stood_there_that_often() -> None:
    confidence, right = known(120)
    confidence = confidence.round(1)
    times = RANDOM.poisson(1, size=(20, 120)).astype(float)
    levels = measures._by_level(confidence, right, times)
    aurocs = measures._auroc(*levels)
    accuracies = measures._accuracy_at_coverage(*levels, 0.8)
    for row, area, accuracy in zip(times, aurocs, accuracies, strict=True):
        assert area == pytest.approx(roc_auc_score(right, confidence, sample_weight=row))
        items = np.repeat(np.arange(120), row.astype(int))
        at_80 = measures.accuracy_at_coverage(confidence[items], right[items], coverage=0.8)
        assert accuracy == pytest.approx(at_80)


def test_a_measure_is_within_its_interval_and_says_how_many() -> None:
    confidence, right = known(200)
    groups = [str(number // 4) for number in range(200)]
    found = measures.measure(confidence, right, Resamples(groups), subset="open", kind="raw")
    for figure in (found.accuracy, found.brier, found.auroc, found.accuracy_at_80):
        assert figure.value is not None
        assert figure.interval is not None
        low, high = figure.interval
        assert low < figure.value < high
        assert figure.num_samples == 200


@pytest.mark.parametrize(
    ("right", "reason"), [(1.0, "All answers are right."), (0.0, "All answers are wrong.")]
)
def test_with_one_class_there_is_no_auroc_and_a_reason(right: float, reason: str) -> None:
    confidence = RANDOM.random(5)
    found = measures.measure(
        confidence, np.full(5, right), Resamples(list("abcde")), subset="all", kind="raw"
    )
    assert (found.auroc.value, found.auroc.reason) == (None, reason)
    assert found.accuracy_at_80.value == right
    assert math.isnan(measures.auroc(confidence, np.full(5, right)))


def test_known_probabilities_are_calibrated_and_a_shift_is_found_whole() -> None:
    confidence, right = known(200_000)
    for error in (
        measures.expected_calibration_error,
        measures.equal_mass_calibration_error,
    ):
        assert error(confidence, right) < 0.005
        assert error(np.minimum(confidence / 2, 1), right) == pytest.approx(0.25, abs=0.005)
    # p = c uniform: P(right) = 1/2, E[c(1 - c)] = 1/6, AUROC = 5/6, the surest 80 %: mean of
    # 0.2 to 1.
    assert np.mean((confidence - right) ** 2) == pytest.approx(1 / 6, abs=0.003)
    assert measures.auroc(confidence, right) == pytest.approx(5 / 6, abs=0.003)
    at_80 = measures.accuracy_at_coverage(confidence, right, coverage=0.8)
    assert at_80 == pytest.approx(0.6, abs=0.005)
    # Risk at coverage k is k / 2.
    aurc = measures.area_under_risk_coverage(confidence, right)
    assert aurc == pytest.approx(0.25, abs=0.003)


def test_calibration_error_by_hand() -> None:
    """Two bins in use: 3 of confidence 0.5, one right; 2 of 0.95, both right."""
    confidence = np.array([0.5, 0.5, 0.5, 0.95, 0.95])
    right = np.array([1.0, 0, 0, 1, 1])
    expected = (3 * abs(1 / 3 - 0.5) + 2 * abs(1 - 0.95)) / 5
    assert measures.expected_calibration_error(confidence, right) == pytest.approx(expected)


def test_bins_are_open_below_and_closed_above() -> None:
    edges = np.arange(16) / 15
    bins = measures.reliability(edges, np.ones(16))
    assert [one.num_samples for one in bins] == [2] + [1] * 14
    assert [one.mean_confidence for one in bins[1:]] == [one.high for one in bins[1:]]
    empty = measures.reliability(np.array([0.99]), np.ones(1))[0]
    assert (empty.num_samples, empty.mean_confidence, empty.accuracy) == (0, None, None)


def test_risk_and_coverage_by_hand() -> None:
    confidence = np.array([0.2, 0.9, 0.5, 0.5, 0.5])
    right = np.array([0.0, 1, 1, 1, 0])
    points = measures.risk_coverage(confidence, right)
    assert [(point.coverage, point.risk) for point in points] == [
        (0.2, 0.0),
        (0.8, pytest.approx(0.25)),
        (1.0, pytest.approx(0.4)),
    ]
    # Within the tie of three with one error, each next answer adds a third of an error.
    expected = (0 + 1 / 3 / 2 + 2 / 3 / 3 + 1 / 4 + 2 / 5) / 5
    assert measures.area_under_risk_coverage(confidence, right) == pytest.approx(expected)
    assert measures.accuracy_at_coverage(confidence, right, coverage=0.6) == pytest.approx(7 / 9)
    assert measures.accuracy_at_coverage(confidence, right, coverage=0.8) == pytest.approx(0.75)
    assert measures.accuracy_at_coverage(confidence, right, coverage=0.81) == pytest.approx(0.6)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    confidence, right = known(5000)
    points = measures.risk_coverage(confidence, right)
    assert len(points) == 200
    assert points[0].coverage == 1 / 5000
    assert (points[-1].coverage, points[-1].risk) == (1.0, pytest.approx(1 - right.mean()))
    coverages = [point.coverage for point in points]
    assert coverages == sorted(set(coverages))


answers = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.booleans()), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(answers, st.randoms())
def test_the_order_of_the_answers_does_not_matter(
    rows: list[tuple[float, bool]], random: Random
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    for measure in (
        measures.expected_calibration_error,
        measures.equal_mass_calibration_error,
        measures.area_under_risk_coverage,
        measures.auroc,
        lambda confidence, right: measures.accuracy_at_coverage(confidence, right, coverage=0.8),
    ):
        values = [
            measure(np.array([one for one, _ in some]), np.array([float(one) for _, one in some]))
            for some in (rows, shuffled)
        ]
        assert values[0] == pytest.approx(values[1], abs=1e-12, nan_ok=True)
