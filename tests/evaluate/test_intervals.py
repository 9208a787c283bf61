"""The bootstrap against cases that can be worked by hand."""

from __future__ import annotations

from math import comb
from time import perf_counter

import numpy as np
import pytest
from scipy.stats import binomtest

from tinymed.evaluate.intervals import (
    NUM_RESAMPLES,
    bootstrap_interval,
    percentile_interval,
    resampled_totals,
    share_interval,
)


def binomial_quantile(trials: int, chance: float, quantile: float) -> int:
    reached = 0.0
    for successes in range(trials + 1):
        reached += (
            comb(trials, successes) * chance**successes * (1 - chance) ** (trials - successes)
        )
        if reached >= quantile:
            return successes
    raise AssertionError


def singles(count: int) -> list[str]:
    return [f"image-{number}" for number in range(count)]


@pytest.mark.parametrize(("right", "total"), [(50, 100), (30, 100), (180, 200)])
def test_without_clusters_the_interval_is_the_binomial_one(right: int, total: int) -> None:
    """Resampling n values of which k are 1 is drawing from a binomial with chance k/n."""
    values = [1.0] * right + [0.0] * (total - right)
    low, high = bootstrap_interval(values, singles(total))
    assert low * total == pytest.approx(binomial_quantile(total, right / total, 0.025), abs=1.01)
    assert high * total == pytest.approx(binomial_quantile(total, right / total, 0.975), abs=1.01)


def test_two_groups_give_the_extremes_worked_by_hand() -> None:
    """Half the resamples mix both groups, a quarter each takes one twice: 0, 1/2 or 1."""
    assert bootstrap_interval([1.0, 0.0], ["a", "b"]) == (0.0, 1.0)


def test_groups_of_different_size_weigh_by_their_samples() -> None:
    """Every resample is of group a alone (1), b alone (0) or both (3/4); none lies between."""
    low, high = bootstrap_interval([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"])
    assert (low, high) == (0.0, 1.0)
    low, high = bootstrap_interval([0.75, 0.75, 0.75, 0.75], ["a", "a", "a", "b"])
    assert (low, high) == (0.75, 0.75)


def test_questions_that_stand_or_fall_together_widen_the_interval() -> None:
    values = [1.0, 0.0] * 50
    groups = [f"image-{number % 2}-{number // 20}" for number in range(100)]
    low, high = bootstrap_interval(values, singles(100))
    low_clustered, high_clustered = bootstrap_interval(values, groups)
    assert high_clustered - low_clustered > 1.5 * (high - low)


def test_the_order_of_equal_sized_groups_and_their_names_do_not_matter() -> None:
    values = [1.0, 0.0, 0.5, 1.0]
    renamed = bootstrap_interval(values, ["p", "q", "r", "s"])
    assert bootstrap_interval(values, ["a", "b", "c", "d"]) == renamed


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    values = [number / 100 for number in range(100)]
    first = bootstrap_interval(values, singles(100), seed=1)
    assert bootstrap_interval(values, singles(100), seed=1) == first
    assert bootstrap_interval(values, singles(100), seed=2) != first


def test_the_interval_holds_the_mean_and_stays_within_the_values() -> None:
    values = [0.2, 0.4, 0.9, 0.1, 0.6]
    low, high = bootstrap_interval(values, singles(5))
    assert 0.1 <= low <= sum(values) / 5 <= high <= 0.9


def test_one_group_says_nothing_about_others() -> None:
    assert bootstrap_interval([1.0] * 9, ["patient"] * 9) == (0.0, 1.0)


@pytest.mark.parametrize("num_groups", [2, 7, 300])
def test_groups_that_all_agree_leave_the_exact_doubt(num_groups: int) -> None:
    exact = binomtest(num_groups, num_groups).proportion_ci(method="exact")
    low, high = bootstrap_interval([1.0] * num_groups, singles(num_groups))
    assert (low, high) == (pytest.approx(exact.low), 1.0)
    low, high = bootstrap_interval([0.0] * num_groups, singles(num_groups))
    assert (low, high) == (0.0, pytest.approx(1 - exact.low))


def test_resamples_that_hold_nothing_are_left_out() -> None:
    nothing = float("nan")
    assert percentile_interval(np.array([nothing, 0.5, 0.5, nothing])) == (0.5, 0.5)
    assert share_interval(np.array([nothing, 0.5]), num_groups=3) == (0.5, 0.5)
    with pytest.raises(ValueError, match="No resample"):
        percentile_interval(np.array([nothing]))


def test_every_column_sees_the_same_resamples() -> None:
    values = np.arange(12, dtype=float)
    groups = [f"image-{number // 3}" for number in range(12)]
    totals = resampled_totals(np.column_stack([values, 2 * values, np.ones(12)]), groups)
    assert totals.shape == (NUM_RESAMPLES, 3)
    assert np.array_equal(2 * totals[:, 0], totals[:, 1])
    assert (totals[:, 2] == 12).all()  # four groups of three, however drawn
    sums = {values[3 * group : 3 * group + 3].sum() for group in range(4)}
    extremes = {float(4 * min(sums)), float(4 * max(sums))}
    assert extremes <= set(totals[:, 0].tolist())


def test_many_groups_are_drawn_in_blocks_like_few() -> None:
    """Above four million drawn groups a block, the mean of the resamples is still the mean."""
    values = np.repeat([0.0, 1.0], 5_000)
    totals = resampled_totals(values[:, None], singles(10_000))
    assert totals.mean() == pytest.approx(5_000, rel=0.002)
    assert totals.std() == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0], []), ([1.0], ["a", "b"])])
def test_values_without_groups_are_refused(values: list[float], groups: list[str]) -> None:
    with pytest.raises(ValueError, match="need as many"):
        bootstrap_interval(values, groups)


def test_ten_thousand_groups_take_seconds_and_not_minutes() -> None:
    started = perf_counter()
    bootstrap_interval([0.0, 1.0] * 5_000, singles(10_000))
    assert perf_counter() - started < 20
