"""Any statistic under the cluster bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinymed.evaluate.audit.figures import Resamples
from tinymed.evaluate.intervals import bootstrap_interval, percentile_interval, resampled_totals

RANDOM = np.random.default_rng(1)
GROUPS = [f"image-{number % 17}" for number in range(60)]
VALUES = RANDOM.random(60)


def test_the_interval_of_a_mean_is_that_of_the_scores() -> None:
    figure = Resamples(GROUPS).mean(VALUES)
    assert figure.interval == pytest.approx(bootstrap_interval(list(VALUES), GROUPS), abs=1e-12)
    assert figure.value == pytest.approx(VALUES.mean())
    assert figure.num_samples == 60


def test_a_statistic_and_its_closed_form_see_the_same_resamples() -> None:
    resamples = Resamples(GROUPS, seed=3)
    among = VALUES > 0.4

    def mean_of_those(times: np.ndarray) -> np.ndarray:
        return (times @ (VALUES * among)) / (times @ among)

    figure, closed_form = resamples.figure(mean_of_those), resamples.mean(VALUES, among=among)
    assert figure.value == pytest.approx(closed_form.value)
    assert figure.interval == pytest.approx(closed_form.interval)
    assert closed_form.num_samples == among.sum()
    assert (
        Resamples(GROUPS, seed=4).mean(VALUES).interval != Resamples(GROUPS).mean(VALUES).interval
    )


def test_questions_of_one_image_stand_or_fall_together() -> None:
    right = np.repeat([1.0, 0.0], 50)
    apart = Resamples([str(number) for number in range(100)]).mean(right).interval
    together = Resamples(["a"] * 50 + ["b"] * 50).mean(right).interval
    assert together == (0.0, 1.0)
    assert apart is not None
    assert apart[0] > 0.35


def test_one_group_has_a_value_and_no_interval() -> None:
    figure = Resamples(["a", "a"]).mean(np.array([1.0, 0.0]))
    assert (figure.value, figure.interval, figure.reason) == (0.5, None, None)


def test_what_is_not_defined_says_why() -> None:
    figure = Resamples(["a", "b"]).figure(
        lambda times: np.full(len(times), math.nan), undefined="No wrong answer."
    )
    assert (figure.value, figure.interval, figure.reason) == (None, None, "No wrong answer.")


def test_resamples_without_a_value_are_left_out() -> None:
    """One of two groups alone holds what is counted: a quarter of the resamples lack it."""
    figure = Resamples(["a", "b"]).mean(np.array([1.0, 0.0]), among=np.array([True, False]))
    assert (figure.value, figure.interval, figure.num_samples) == (1.0, (1.0, 1.0), 1)


def test_a_subset_drawn_from_the_whole_has_the_interval_of_the_scores() -> None:
    """As `evaluate score` has it: every image is drawn, and only the subset's answers count."""
    random = np.random.default_rng(3)
    values = random.integers(2, size=120).astype(float)
    groups = [f"image {number // 3}" for number in range(120)]
    is_closed = random.random(120) < 0.4
    totals = resampled_totals(np.column_stack([values * is_closed, is_closed]), groups)
    with np.errstate(invalid="ignore"):
        wanted = percentile_interval(totals[:, 0] / totals[:, 1])
    some = [group for group, closed in zip(groups, is_closed, strict=True) if closed]
    resamples = Resamples(some, whole=groups)
    assert resamples.mean(values[is_closed]).interval == wanted
    by_hand = resamples.figure(lambda times: (times @ values[is_closed]) / times.sum(axis=1))
    assert by_hand.interval == wanted
    assert Resamples(some).mean(values[is_closed]).interval != wanted
