"""Scores of single answers drawn together: by type, by domain, over all, and by order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tinymed.evaluate.intervals import bootstrap_interval
from tinymed.evaluate.judge.parse import Rated, Unparsed

GroupKind = Literal["type", "domain", "overall"]

TYPES = ("conversation", "detailed_description")
DOMAINS = ("chest_xray", "mri", "histology", "gross", "ct_scan")
"""The published groups, in the order of the published tables; others follow."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One sample and what the judge gave its reference and its prediction."""

    id: str
    question_type: str | None
    domain: str | None
    cluster: str
    """What it stands or falls with: samples about one image are one cluster."""
    published: Rated | Unparsed
    """With the reference first, as published."""
    swapped: Rated | Unparsed | None = None
    """With the prediction first; None where that was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one way of asking gives over one group; unparsed replies have no part in means."""

    num_unparsed: int
    reference_score: float | None
    """Mean on the judge's scale; None where every reply is unparsed."""
    prediction_score: float | None
    relative_score_percent: float | None
    """Mean over samples of 100 x prediction / reference: the published figure."""
    interval_percent: Interval | None
    """95 %, by bootstrap over clusters; None for a single cluster."""
    ratio_of_means_percent: float | None
    """100 x mean of the prediction's scores / mean of the reference's: another figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The figures of one type, one domain, or all samples."""

    kind: GroupKind
    name: str
    num_samples: int
    published: Figures
    swapped: Figures | None
    both: Figures | None
    """Of each sample the mean of both orders: scores, and ratio. Unparsed if either is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEffect:
    """How much a judge heeds which answer it reads first."""

    num_compared: int
    """Samples with scores in both orders."""
    position_bias_points: float | None
    """Mean score of an answer read first less that of the same answer read second."""
    interval_points: Interval | None
    num_verdict_differs: int
    """The two orders do not agree which answer is better, or whether they are level."""
    num_verdict_reversed: int
    """Of those: each order prefers another answer."""


def groups(judged: Sequence[Judged]) -> list[Group]:
    """Each type, each domain, then all samples.

    A sample with no type or domain counts in the others only, as published.

    Source:
        LLaVA-Med `summarize_gpt_review.py` for `relative_score_percent`: the mean of each
        sample's ratio, times 100.
    """
    kinds: list[tuple[GroupKind, tuple[str, ...], Callable[[Judged], str | None]]] = [
        ("type", TYPES, lambda one: one.question_type),
        ("domain", DOMAINS, lambda one: one.domain),
        ("overall", ("overall",), lambda _: "overall"),
    ]
    found = []
    for kind, known, name_of in kinds:
        names = dict.fromkeys(name for one in judged if (name := name_of(one)) is not None)
        ordered = [name for name in known if name in names]
        ordered += [name for name in names if name not in known]
        found += [
            _group(kind, name, [one for one in judged if name_of(one) == name]) for name in ordered
        ]
    return found


def _group(kind: GroupKind, name: str, judged: Sequence[Judged]) -> Group:
    is_swapped = any(one.swapped is not None for one in judged)
    return Group(
        kind=kind,
        name=name,
        num_samples=len(judged),
        published=_figures(judged, lambda one: _single(one.published)),
        swapped=_figures(judged, lambda one: _single(one.swapped)) if is_swapped else None,
        both=_figures(judged, _mean_of_orders) if is_swapped else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    reference: float
    prediction: float
    relative_percent: float


def _single(outcome: Rated | Unparsed | None) -> _Value | None:
    if not isinstance(outcome, Rated):
        return None
    return _Value(
        reference=outcome.reference,
        prediction=outcome.prediction,
        relative_percent=outcome.relative_percent,
    )


def _mean_of_orders(one: Judged) -> _Value | None:
    first, second = _single(one.published), _single(one.swapped)
    if first is None or second is None:
        return None
    return _Value(
        reference=(first.reference + second.reference) / 2,
        prediction=(first.prediction + second.prediction) / 2,
        relative_percent=(first.relative_percent + second.relative_percent) / 2,
    )


def _figures(judged: Sequence[Judged], value_of: Callable[[Judged], _Value | None]) -> Figures:
    found = [(one, value) for one in judged if (value := value_of(one)) is not None]
    values = [value for _, value in found]
    num_unparsed = len(judged) - len(values)
    if not values:
        return Figures(
            num_unparsed=num_unparsed,
            reference_score=None,
            prediction_score=None,
            relative_score_percent=None,
            interval_percent=None,
            ratio_of_means_percent=None,
        )
    reference = _mean([value.reference for value in values])
    prediction = _mean([value.prediction for value in values])
    ratios = [value.relative_percent for value in values]
    return Figures(
        num_unparsed=num_unparsed,
        reference_score=reference,
        prediction_score=prediction,
        relative_score_percent=_mean(ratios),
        interval_percent=_interval(ratios, [one for one, _ in found]),
        ratio_of_means_percent=100 * prediction / reference,
    )


def order_effect(judged: Sequence[Judged]) -> OrderEffect | None:
    """Compare the two orders; None where only one was asked."""
    if all(one.swapped is None for one in judged):
        return None
    pairs = [
        (one, one.published, one.swapped)
        for one in judged
        if isinstance(one.published, Rated) and isinstance(one.swapped, Rated)
    ]
    # Each answer was read once first and once second; what it gains by being first,
    # averaged over the two answers.
    gains = [
        (first.reference - second.reference + second.prediction - first.prediction) / 2
        for _, first, second in pairs
    ]
    verdicts = [(_verdict(first), _verdict(second)) for _, first, second in pairs]
    return OrderEffect(
        num_compared=len(pairs),
        position_bias_points=_mean(gains) if gains else None,
        interval_points=_interval(gains, [one for one, _, _ in pairs]) if gains else None,
        num_verdict_differs=sum(one != other for one, other in verdicts),
        num_verdict_reversed=sum(one * other < 0 for one, other in verdicts),
    )


def _verdict(outcome: Rated) -> int:
    """1 for the prediction, -1 for the reference, 0 for level."""
    difference = outcome.prediction - outcome.reference
    return (difference > 0) - (difference < 0)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _interval(values: Sequence[float], judged: Sequence[Judged]) -> Interval | None:
    clusters = [one.cluster for one in judged]
    if len(set(clusters)) == 1:
        return None
    return bootstrap_interval(values, clusters)
