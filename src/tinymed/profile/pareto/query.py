"""The best model within bounds, or the bound that stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.profile.pareto.bounds import Bound
from tinymed.profile.pareto.costs import COSTS, said
from tinymed.profile.pareto.front import Figure, overlaps
from tinymed.profile.point import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A build that may be chosen."""

    name: str
    point: Point
    quality: Figure

    def cost(self, bound: Bound) -> Figure | None:
        """Its figure of a bound's cost."""
        return COSTS[bound.cost].take(self.point)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivesWay:
    """A bound that would have to be wider."""

    bound: Bound
    value: float
    """What it would have to be, in the unit of the cost's figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What fits within bounds."""

    bounds: tuple[Bound, ...]
    best: str | None
    runners_up: tuple[str, ...] = ()
    """The others that fit and whose quality's interval overlaps with that of the best."""
    sometimes_over: tuple[str, ...] = ()
    """Sentences: of what fits by the median and not by the slowest runs."""
    nearest: str | None = None
    """Where none fits: the one that fits once `gives_way` is done."""
    gives_way: tuple[GivesWay, ...] = ()
    """Where none fits: the least that must be widened."""
    unknown: tuple[str, ...] = ()
    """Those of which a bounded cost is not known: they were not considered."""


def choose(offers: Sequence[Offer], bounds: Sequence[Bound]) -> Choice:
    """The best quality within bounds; figures of several runs count by their median.

    Where none fits, the nearest is the one for which a single bound must give way, by the
    smallest factor; where no single bound is enough, the one whose worst miss is smallest.
    """
    known = [one for one in offers if all(one.cost(bound) is not None for bound in bounds)]
    unknown = tuple(one.name for one in offers if one not in known)
    fitting = [one for one in known if not _missed(one, bounds)]
    if not fitting:
        return _nearest(known, bounds, unknown)
    # Of equals the one that takes least of what was bounded first.
    best = max(fitting, key=lambda one: (one.quality.value, -_excess(one, bounds[0])))
    runners_up = [one for one in fitting if one is not best and overlaps(one.quality, best.quality)]
    runners_up.sort(key=lambda one: -one.quality.value)
    return Choice(
        bounds=tuple(bounds),
        best=best.name,
        runners_up=tuple(one.name for one in runners_up),
        sometimes_over=tuple(
            sentence for one in (best, *runners_up) for sentence in _sometimes_over(one, bounds)
        ),
        unknown=unknown,
    )


def _excess(offer: Offer, bound: Bound) -> float:
    figure = offer.cost(bound)
    assert figure is not None
    return bound.excess(figure.value)


def _missed(offer: Offer, bounds: Sequence[Bound]) -> list[Bound]:
    return [bound for bound in bounds if _excess(offer, bound) > 1]


def _nearest(offers: Sequence[Offer], bounds: Sequence[Bound], unknown: tuple[str, ...]) -> Choice:
    if not offers:
        return Choice(bounds=tuple(bounds), best=None, unknown=unknown)

    def distance(one: Offer) -> tuple[bool, float]:
        missed = _missed(one, bounds)
        return len(missed) > 1, max(_excess(one, bound) for bound in missed)

    nearest = min(offers, key=distance)
    gives_way = []
    for bound in _missed(nearest, bounds):
        figure = nearest.cost(bound)
        assert figure is not None
        gives_way.append(GivesWay(bound=bound, value=figure.value))
    return Choice(
        bounds=tuple(bounds),
        best=None,
        nearest=nearest.name,
        gives_way=tuple(gives_way),
        unknown=unknown,
    )


def _sometimes_over(offer: Offer, bounds: Sequence[Bound]) -> list[str]:
    found = []
    for bound in bounds:
        figure, cost = offer.cost(bound), COSTS[bound.cost]
        assert figure is not None
        slow = figure.low if cost.is_gain else figure.high
        if bound.excess(slow) > 1:
            found.append(
                f"{offer.name} keeps {bound.text} by its median "
                f"({said(figure.value, cost.unit)}), not by its slow runs "
                f"({said(slow, cost.unit)})."
            )
    return found
