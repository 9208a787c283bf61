"""Bounds as typed: units of 1,000 and of 1,024, and what is refused."""

from __future__ import annotations

import pytest

from tinymed.errors import ConfigError
from tinymed.profile.pareto.bounds import read_bound

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("peak=4GB", 4e9 / MIB),
        ("peak=4GiB", 4096),
        ("static=500MB", 5e8 / MIB),
        ("static=500MiB", 500),
        ("disk=2048KiB", 2),
        ("disk=1048.576KB", 1),
        ("first-token=2s", 2000),
        ("first-token = 150 ms", 150),
        ("second-question=.5s", 500),
        ("energy=12J", 12),
        ("tokens=10/s", 10),
        ("tokens=10tokens/s", 10),
    ],
)
def test_a_bound_is_read_in_the_unit_of_the_figures(text: str, limit: float) -> None:
    assert read_bound(text).limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("peak", r"'peak' is no bound: write COST=VALUE"),
        ("peak=", "is no bound"),
        ("peak=-1GB", "is no bound"),
        ("peak=4", r"There is no unit in 'peak=4': peak is told in KB, MB, GB, KiB, MiB, GiB\."),
        ("peak=4gb", "'gb' is no unit in 'peak=4gb'"),
        ("peak=4s", "'s' is no unit"),
        ("first-token=4GB", "first-token is told in ms, s"),
        ("memory=4GB", "No cost 'memory'. Known: peak, static"),
        ("peak=0GB", "must be above 0"),
    ],
)
def test_what_is_no_bound_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_bound(text)


def test_an_excess_is_the_factor_by_which_a_bound_is_missed() -> None:
    assert read_bound("peak=2GiB").excess(3072) == 1.5
    assert read_bound("peak=2GiB").excess(1024) == 0.5
    assert read_bound("tokens=10/s").excess(5) == 2
    assert read_bound("tokens=10/s").excess(20) == 0.5
    assert read_bound("tokens=10/s").excess(0) == float("inf")
