"""Dominance: exact on constructed cases, ties and equal points among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tinymed.profile.pareto.front import (
    Candidate,
    Figure,
    Standing,
    dominates,
    exact,
    overlaps,
    standings,
)


def candidate(
    name: str, quality: float, *costs: float, half: float = 0.0, spread: float = 0.0
) -> Candidate:
    return Candidate(
        name=name,
        quality=Figure(value=quality, low=quality - half, high=quality + half),
        costs={
            f"cost-{place}": Figure(value=cost, low=cost - spread, high=cost + spread)
            for place, cost in enumerate(costs)
        },
    )


def statuses(*candidates: Candidate) -> list[str]:
    return [one.status for one in standings(candidates)]


def test_one_alone_is_on_the_front() -> None:
    assert statuses(candidate("a", 0.5, 300)) == ["on the front"]
    assert standings([]) == []


def test_better_and_cheaper_dominates() -> None:
    assert standings([candidate("a", 0.8, 300), candidate("b", 0.7, 400)]) == [
        Standing(name="a", status="on the front"),
        Standing(name="b", status="dominated", dominated_by=("a",)),
    ]


def test_better_and_dearer_does_not() -> None:
    assert statuses(candidate("a", 0.8, 400), candidate("b", 0.7, 300)) == ["on the front"] * 2


def test_a_tie_in_one_is_decided_by_the_other() -> None:
    assert statuses(candidate("a", 0.8, 300), candidate("b", 0.8, 400)) == [
        "on the front",
        "dominated",
    ]
    assert statuses(candidate("a", 0.8, 300), candidate("b", 0.7, 300)) == [
        "on the front",
        "dominated",
    ]


def test_equal_candidates_are_both_on_the_front() -> None:
    assert statuses(candidate("a", 0.8, 300), candidate("b", 0.8, 300)) == ["on the front"] * 2


def test_every_cost_counts() -> None:
    """Dominated in two costs, but not in the third."""
    one, other = candidate("a", 0.8, 300, 2, 9), candidate("b", 0.7, 400, 3, 1)
    assert statuses(one, other) == ["on the front"] * 2


def test_overlapping_qualities_are_not_told_apart() -> None:
    """However much dearer: its quality may be the better one after all."""
    found = standings([candidate("a", 0.71, 300, half=0.04), candidate("b", 0.70, 3000, half=0.04)])
    assert found[1] == Standing(
        name="b", status="dominated, intervals overlap", dominated_by=("a",)
    )


def test_a_figure_beyond_the_others_interval_is_not_enough() -> None:
    """Both intervals count: 0.75 lies above 0.5 to 0.7, but may be 0.65."""
    one, other = candidate("a", 0.75, 300, half=0.1), candidate("b", 0.6, 400, half=0.1)
    assert statuses(one, other)[1] == "dominated, intervals overlap"


def test_qualities_whose_intervals_only_touch_are_told_apart() -> None:
    one, other = candidate("a", 0.75, 300, half=0.125), candidate("b", 0.5, 400, half=0.125)
    assert statuses(one, other)[1] == "dominated"


def test_overlapping_costs_are_not_told_apart() -> None:
    one = candidate("a", 0.9, 100, half=0.04, spread=5)
    other = candidate("b", 0.7, 104, half=0.04, spread=5)
    assert statuses(one, other)[1] == "dominated, intervals overlap"


def test_one_that_dominates_beyond_doubt_is_enough() -> None:
    near, far = candidate("near", 0.71, 300, half=0.04), candidate("far", 0.9, 200, half=0.04)
    found = standings([near, far, candidate("b", 0.70, 400, half=0.04)])
    assert found[2] == Standing(name="b", status="dominated", dominated_by=("far",))


def test_a_cost_that_is_what_it_is_needs_no_room() -> None:
    one, other = candidate("a", 0.9, 300, half=0.04), candidate("b", 0.7, 300, half=0.04)
    assert statuses(one, other)[1] == "dominated"


def test_negating_turns_the_interval() -> None:
    assert Figure(value=5, low=4, high=7).negated == Figure(value=-5, low=-7, high=-4)
    assert overlaps(exact(1), exact(1))
    assert not overlaps(exact(1), exact(1.5))


_POINTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=8
)


@given(_POINTS)
def test_a_front_is_never_empty_and_beats_all_the_rest(rows: list[tuple[int, int, int]]) -> None:
    candidates = [
        candidate(str(place), quality, cost, half=half / 2)
        for place, (quality, cost, half) in enumerate(rows)
    ]
    found = standings(candidates)
    front = [
        one
        for one, standing in zip(candidates, found, strict=True)
        if standing.status == "on the front"
    ]
    assert front
    assert not any(dominates(one, other) for one in front for other in front)
    for one, standing in zip(candidates, found, strict=True):
        assert (standing.status == "on the front") != any(dominates(each, one) for each in front)
