"""Scales: every value on them, round ticks within them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymed.pages.scales import Scale, scale_over, tick_text

_VALUES = st.lists(st.floats(min_value=1e-3, max_value=1e7), min_size=1, max_size=6)


@given(_VALUES)
def test_every_value_is_on_its_scale_with_room_to_both_sides(values: list[float]) -> None:
    scale = scale_over(values)
    assert scale.low < min(values)
    assert max(values) < scale.high
    assert all(0 < scale.share(value) < 1 for value in values)


@given(_VALUES)
def test_ticks_are_on_the_scale_rising_and_of_a_readable_number(values: list[float]) -> None:
    scale = scale_over(values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert list(ticks) == sorted(set(ticks))
    room = 1e-9 * scale.high
    assert all(scale.low - room <= tick <= scale.high + room for tick in ticks)


def test_a_scale_is_logarithmic_only_where_values_range_far() -> None:
    assert scale_over([300, 3000]).is_log
    assert not scale_over([300, 900]).is_log
    assert not scale_over([0, 3000]).is_log
    assert not scale_over([1, 100], ends=(0, 100)).is_log


def test_percent_stay_within_their_ends() -> None:
    scale = scale_over([2, 99], ends=(0, 100))
    assert (scale.low, scale.high) == (0, 100)


def test_equal_steps_on_a_logarithmic_scale_are_equal_factors() -> None:
    scale = Scale(low=10, high=1000, is_log=True)
    assert [scale.share(value) for value in (10, 100, 1000)] == pytest.approx([0, 0.5, 1])


def test_values_beyond_the_ends_stand_at_the_ends() -> None:
    scale = Scale(low=1, high=10, is_log=True)
    assert (scale.share(-5), scale.share(100)) == (0, 1)


def test_what_is_not_finite_is_passed_over_and_nothing_is_refused() -> None:
    assert scale_over([1, math.nan, 2, math.inf]).high < 3
    with pytest.raises(ValueError, match="empty"):
        scale_over([math.nan])


def test_ticks_are_written_as_people_write_them() -> None:
    texts = [tick_text(value) for value in (1000.0, 0.25, 1e6, 0.0)]
    assert texts == ["1,000", "0.25", "1,000,000", "0"]
