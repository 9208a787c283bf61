"""Published systems beside one's own: by the same metric on the same samples, and no other."""

from __future__ import annotations

from dataclasses import dataclass

from tinymed.profile.pareto.folders import SampleSet
from tinymed.published.memory import DerivedStatic, definitions, derived_static
from tinymed.published.rows import UNKNOWN, PublishedRow, published_rows, scorers

COST = "static"
"""The only cost of a published system that is known, as we derived it."""
_MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPoint:
    """A published system's quality and cost."""

    system: str
    metric: str
    """Ours, by the rule of the scorer that made the figure."""
    quality: float
    """Fraction in [0, 1]; no interval was printed."""
    cost: str
    mib: float
    scorer: str
    definition: str
    """What the memory counts, and whose figure it is."""
    differs_in: str
    """What it is not comparable in."""
    source: str


def published_points(samples: SampleSet, metric: str, cost: str) -> tuple[PublishedPoint, ...]:
    """The published systems that stand on a front of this metric and cost on these samples.

    None unless the samples are a whole public test split, the metric is one that published
    figures were made by, and the cost is one that is known of them.
    """
    if not _is_test_split(samples) or cost != COST:
        return ()
    assert samples.known is not None
    found = (_point(row, metric) for row in published_rows(samples.known.dataset))
    return tuple(point for point in found if point is not None)


def blind_best(samples: SampleSet, metric: str) -> float | None:
    """The best published-rule figure of answers that never look at an image, in [0, 1]."""
    if not _is_test_split(samples):
        return None
    assert samples.known is not None
    rows = (row for row in published_rows(samples.known.dataset) if row.is_blind)
    figures = (_quality(row, metric) for row in rows)
    return max((figure for figure in figures if figure is not None), default=None)


def why_no_published(samples: SampleSet, metric: str, cost: str) -> str:
    """Why no published system stands on a front, in a sentence; "" where some do."""
    if published_points(samples, metric, cost):
        return ""
    metrics = sorted(
        {
            name
            for scorer in scorers().values()
            for name in (scorer.closed_metric, scorer.open_metric)
            if name
        }
    )
    if not _is_test_split(samples):
        return "No published figure is about these samples: they are no test split that is known."
    if metric not in metrics:
        return (
            f"No published figure was made by {metric}; --quality tinyllava_med_closed "
            f"--cost {COST} shows them beside yours."
        )
    return f"Of published systems only the {COST} memory is known; --cost {COST} shows them."


def _is_test_split(samples: SampleSet) -> bool:
    return samples.known is not None and samples.known.split == "test"


def _quality(row: PublishedRow, metric: str) -> float | None:
    scorer = scorers()[row.scorer]
    # A rule that is not known is no metric of ours.
    by_metric = {scorer.closed_metric: row.closed, scorer.open_metric: row.open}
    printed = by_metric.get(metric)
    return None if printed is None else float(printed) / 100


def _point(row: PublishedRow, metric: str) -> PublishedPoint | None:
    quality, memory = _quality(row, metric), derived_static(row.system)
    if quality is None or memory is None:
        return None
    counted = definitions()["derived-static"]
    return PublishedPoint(
        system=row.system,
        metric=metric,
        quality=quality,
        cost=COST,
        mib=mib_of(memory),
        scorer=scorers()[row.scorer].code,
        definition=f"{counted.title}, of {memory.shape} in {memory.bits}: {counted.rule}",
        differs_in=_differs_in(row),
        source=row.source,
    )


def mib_of(memory: DerivedStatic) -> float:
    """Derived static memory in MiB."""
    return float(memory.static_gib) * _MIB_PER_GIB


def _differs_in(row: PublishedRow) -> str:
    train = "not known" if row.train_split == UNKNOWN else row.train_split
    leaks = ", which leaks test questions" if row.train_split == "3,064" else ""
    return (
        f"trained on: {train}{leaks}; answers {row.decoding}; no interval; memory derived from "
        "the shape, not measured"
    )
