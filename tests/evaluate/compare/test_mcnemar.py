"""McNemar's test against the binomial test of scipy, and Holm's method by hand."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tinymed.evaluate.compare.mcnemar import holm_adjusted, mcnemar

counts = st.integers(0, 300)


@settings(deadline=None)
@given(counts, counts)
def test_the_exact_p_is_that_of_the_binomial_test(first: int, second: int) -> None:
    found = mcnemar(first, second)
    if first + second == 0:
        assert (found.exact_p, found.mid_p) == (1.0, 1.0)
        return
    exact = binomtest(first, first + second, 0.5).pvalue
    split = binom.pmf(first, first + second, 0.5)
    assert found.exact_p == pytest.approx(exact, rel=1e-9, abs=1e-300)
    expected_mid = 1.0 if first == second else exact - split
    assert found.mid_p == pytest.approx(expected_mid, rel=1e-6, abs=1e-300)


@settings(deadline=None)
@given(counts, counts)
def test_neither_system_comes_first(first: int, second: int) -> None:
    assert mcnemar(first, second) == mcnemar(second, first)


def test_a_hundred_thousand_differences_are_counted_at_once() -> None:
    start = time.process_time()
    found = mcnemar(49_700, 50_300)
    assert time.process_time() - start < 0.5
    assert found.exact_p == pytest.approx(binomtest(49_700, 100_000).pvalue, rel=1e-7)
    assert mcnemar(0, 100_000).exact_p == 0.0


def test_ten_to_nothing_is_two_tails_of_one_in_1024() -> None:
    found = mcnemar(10, 0)
    assert found.exact_p == pytest.approx(2 / 1024)
    assert found.mid_p == pytest.approx(1 / 1024)


def test_a_count_below_nought_is_refused() -> None:
    with pytest.raises(ValueError, match="they start at 0"):
        mcnemar(-1, 2)


def test_holm_multiplies_by_the_comparisons_left_and_never_falls() -> None:
    assert holm_adjusted([0.01, 0.02, 0.9]) == pytest.approx([0.03, 0.04, 0.9])
    assert holm_adjusted([0.5, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm_adjusted([0.7, 0.8]) == [1.0, 1.0]
    assert holm_adjusted([]) == []
