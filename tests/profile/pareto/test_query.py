"""The best within bounds, its runners-up, and which bound stands in the way."""

from __future__ import annotations

import pytest
from made_up_profile import made_up_point

from tinymed.profile.pareto.bounds import read_bound
from tinymed.profile.pareto.front import Figure
from tinymed.profile.pareto.query import Choice, Offer, choose
from tinymed.profile.pareto.text import choice_sentences


def offer(
    name: str,
    quality: float,
    *,
    peak: float | None = 400.0,
    first_token: float | None = 300.0,
    half: float = 0.02,
) -> Offer:
    return Offer(
        name=name,
        point=made_up_point(peak=peak, first_token=first_token),
        quality=Figure(value=quality, low=quality - half, high=quality + half),
    )


OFFERS = [
    offer("best", 0.80, peak=3000, first_token=3000),
    offer("near", 0.79, peak=1500, first_token=900),
    offer("small", 0.70, peak=300, first_token=200),
]


def chosen(*bounds: str, offers: list[Offer] = OFFERS) -> Choice:
    return choose(offers, [read_bound(text) for text in bounds])


def test_the_best_that_fits_is_named_and_only_those_not_told_apart_from_it() -> None:
    found = chosen("peak=4GB", "first-token=4s")
    assert (found.best, found.runners_up) == ("best", ("near",))
    found = chosen("peak=2GB", "first-token=4s")
    assert (found.best, found.runners_up) == ("near", ())
    assert chosen("peak=400MB").best == "small"


def test_of_equals_the_one_that_takes_less_is_best() -> None:
    offers = [offer("large", 0.8, peak=500), offer("small", 0.8, peak=400)]
    found = chosen("peak=1GB", offers=offers)
    assert (found.best, found.runners_up) == ("small", ("large",))


def test_where_none_fits_the_bound_that_is_least_too_narrow_gives_way() -> None:
    """Memory must grow to 1.5 times for "near", time to 4 times for "small"."""
    found = chosen("peak=1000MiB", "first-token=1s", offers=OFFERS[:2])
    assert (found.best, found.nearest) == (None, "near")
    assert [(one.bound.cost, one.value) for one in found.gives_way] == [("peak", 1500)]
    found = chosen("peak=1400MiB", "first-token=50ms")
    assert found.nearest == "small"
    assert [(one.bound.cost, one.value) for one in found.gives_way] == [("first-token", 200)]


def test_one_bound_gives_way_before_two_do() -> None:
    """ "two" misses both a little, "one" a single bound by far."""
    offers = [
        offer("two", 0.8, peak=1100, first_token=1100),
        offer("one", 0.7, peak=5000, first_token=900),
    ]
    found = chosen("peak=1000MiB", "first-token=1s", offers=offers)
    assert found.nearest == "one"
    found = chosen("peak=1000MiB", "first-token=1s", offers=offers[:1])
    assert [one.bound.cost for one in found.gives_way] == ["peak", "first-token"]


def test_what_lacks_a_figure_is_not_considered_and_named() -> None:
    offers = [*OFFERS, offer("untimed", 0.99, first_token=None)]
    found = chosen("first-token=4s", offers=offers)
    assert (found.best, found.unknown) == ("best", ("untimed",))
    found = chosen("energy=4J")
    assert (found.best, found.nearest, len(found.unknown)) == (None, None, 3)
    assert "none has the figures" in choice_sentences(found)[0]


def test_a_median_within_and_slow_runs_beyond_are_told() -> None:
    found = chosen("first-token=3010ms", offers=OFFERS[:1])
    assert found.best == "best"
    assert found.sometimes_over == (
        "best keeps first-token=3010ms by its median (3.00 s), not by its slow runs (3.10 s).",
    )
    assert chosen("tokens=6.6/s", offers=OFFERS[:1]).sometimes_over


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (("peak=4GB",), "Best within peak=4GB: best. Not told apart from it by quality: near."),
        (
            ("peak=350MB",),
            "Best within peak=350MB: small. No other build within is as good by its interval.",
        ),
        (
            ("peak=100MiB",),
            "Nothing fits peak=100MiB. Closest is small: peak=100MiB would have to be 300 MiB.",
        ),
    ],
)
def test_the_answer_is_a_sentence(bounds: tuple[str, ...], sentence: str) -> None:
    assert choice_sentences(chosen(*bounds))[0] == sentence
