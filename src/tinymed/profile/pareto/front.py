"""Which candidates no other beats, and which of the beaten are told apart from the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["on the front", "dominated", "dominated, intervals overlap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure and where it may really lie."""

    value: float
    low: float
    high: float

    @property
    def negated(self) -> Figure:
        """The same with more and less exchanged."""
        return Figure(value=-self.value, low=-self.high, high=-self.low)


def exact(value: float) -> Figure:
    """A figure that is what it is."""
    return Figure(value=value, low=value, high=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Something to choose: of its quality more is better, of each cost less."""

    name: str
    quality: Figure
    costs: Mapping[str, Figure]
    """The same names in every candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a candidate stands among the others."""

    name: str
    status: Status
    dominated_by: tuple[str, ...] = ()
    """Those that beat it: of "dominated", those that beat it beyond every interval."""


def standings(candidates: Sequence[Candidate]) -> list[Standing]:
    """Where each candidate stands, in the order given.

    One dominates another that it is at least as good as in quality and in every cost, and
    better than in one: by the figures as measured. Equal candidates do not dominate each
    other. It does so beyond doubt if moreover each of its figures is at the bad end of its
    interval at least as good as the other's at the good end. A candidate that is dominated,
    but by none beyond doubt, is not told apart: intervals overlap.

    Example:
        >>> small = Candidate(name="a", quality=Figure(value=.7, low=.6, high=.8),
        ...                   costs={"peak": exact(300)})
        >>> large = Candidate(name="b", quality=Figure(value=.69, low=.59, high=.79),
        ...                   costs={"peak": exact(900)})
        >>> [one.status for one in standings([small, large])]
        ['on the front', 'dominated, intervals overlap']
    """
    return [_standing(one, candidates) for one in candidates]


def _standing(one: Candidate, candidates: Sequence[Candidate]) -> Standing:
    better = [other for other in candidates if dominates(other, one)]
    surely = [other.name for other in better if _is_beyond_doubt(other, one)]
    if surely:
        return Standing(name=one.name, status="dominated", dominated_by=tuple(surely))
    if better:
        names = tuple(other.name for other in better)
        return Standing(name=one.name, status="dominated, intervals overlap", dominated_by=names)
    return Standing(name=one.name, status="on the front")


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether `one` is at least as good in all, and better in something."""
    pairs = _pairs(one, other)
    return all(ours.value >= theirs.value for ours, theirs in pairs) and any(
        ours.value > theirs.value for ours, theirs in pairs
    )


def _is_beyond_doubt(one: Candidate, other: Candidate) -> bool:
    return all(ours.low >= theirs.high for ours, theirs in _pairs(one, other))


def _pairs(one: Candidate, other: Candidate) -> list[tuple[Figure, Figure]]:
    """The figures of both, side by side, all turned so that more is better."""
    costs = [(one.costs[name].negated, other.costs[name].negated) for name in one.costs]
    return [(one.quality, other.quality), *costs]


def overlaps(one: Figure, other: Figure) -> bool:
    """Whether the intervals of two figures share a value.

    >>> overlaps(exact(1.0), Figure(value=2.0, low=1.0, high=3.0))
    True
    """
    return one.low <= other.high and other.low <= one.high
