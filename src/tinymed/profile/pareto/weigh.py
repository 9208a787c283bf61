"""Quality against cost over each set of samples: where every build stands, and what to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tinymed.errors import ConfigError, DataError
from tinymed.profile.pareto.bounds import Bound
from tinymed.profile.pareto.costs import Cost, find_cost
from tinymed.profile.pareto.folders import Evaluation, read_folders
from tinymed.profile.pareto.front import Candidate, Figure, Standing, standings
from tinymed.profile.pareto.join import REFUSED, Named, Pair, SampleFront, join
from tinymed.profile.pareto.published import (
    PublishedPoint,
    blind_best,
    published_points,
    why_no_published,
)
from tinymed.profile.pareto.query import Choice, Offer, choose
from tinymed.records import Score

QUALITIES = {"closed": "closed_accuracy", "open": "open_recall"}
"""Short names for the honest metrics of closed and of open questions."""
EVERY_SET = "auto"
REFUSED_WORDS = "refused by the gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoSettings:
    """What to weigh."""

    folders: tuple[Path, ...]
    quality: str = "closed"
    """A name of QUALITIES or of a metric."""
    costs: tuple[str, ...] = ("peak",)
    """Names of COSTS, at least one."""
    samples: str = EVERY_SET
    """Name of one set of samples; "auto" for each that the folders hold."""
    bounds: tuple[Bound, ...] = ()
    with_published: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontRow:
    """One build on a front."""

    name: str
    pair: Pair
    score: Score
    costs: Mapping[str, Figure]
    """Those that are known."""
    standing: Standing | None
    """None where it takes no part."""
    why_none: str = ""
    """Why it takes no part: a cost is not known, or the gate refused the build."""

    @property
    def quality(self) -> Figure:
        """Its score as a figure, a fraction in [0, 1]."""
        low, high = self.score.interval
        return Figure(value=self.score.value, low=low, high=high)

    @property
    def status(self) -> str:
        """Where it stands, in words."""
        return self.why_none if self.standing is None else self.standing.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Every build over one set of samples."""

    sample_front: SampleFront
    metric: str
    costs: tuple[Cost, ...]
    rows: tuple[FrontRow, ...]
    """From the least of the first cost."""
    without_quality: tuple[Named, ...]
    without_cost: tuple[Evaluation, ...]
    published: tuple[PublishedPoint, ...]
    remarks: tuple[str, ...]
    choice: Choice | None = None

    @property
    def title(self) -> str:
        """Of its samples."""
        return self.sample_front.samples.title


def weigh(settings: ParetoSettings) -> list[Front]:
    """Read the folders and weigh quality against cost, over each set of samples apart.

    Raises:
        DataError: If a folder cannot be used, or none holds an evaluation.
        ConfigError: If there is no such metric, cost or set of samples.
    """
    folders = read_folders(settings.folders)
    if not folders.evaluations:
        raise DataError(
            "None of the folders holds an evaluation, so there is no quality to weigh: add "
            "folders of `tinymed evaluate run`."
        )
    chosen = _chosen(join(folders), settings.samples)
    metric = QUALITIES.get(settings.quality, settings.quality)
    _require_metric(chosen, metric)
    return [_with_choice(front_of(one, metric, settings.costs), settings) for one in chosen]


def front_of(found: SampleFront, metric: str, costs: Sequence[str]) -> Front:
    """The front of one metric against these costs together.

    A build takes part if all of them are known and the gate did not refuse it: what may not be
    used beats nothing. The published systems are those that stand beside it, where the costs
    are one.
    """
    wanted = tuple(find_cost(name) for name in costs)
    scored = [(pair, score) for pair in found.pairs if (score := pair.evaluation.score(metric))]
    rows = [_row(pair, score, wanted) for pair, score in scored]
    candidates = [
        Candidate(name=row.name, quality=row.quality, costs=_turned(row.costs, wanted))
        for row in rows
        if not row.why_none
    ]
    standing = {one.name: one for one in standings(candidates)}
    rows = [replace(row, standing=standing.get(row.name)) for row in rows]
    rows.sort(key=lambda row: _order(row, wanted[0]))
    published = published_points(found.samples, metric, costs[0]) if len(costs) == 1 else ()
    unscored = [pair for pair in found.pairs if pair.evaluation.score(metric) is None]
    return Front(
        sample_front=found,
        metric=metric,
        costs=wanted,
        rows=tuple(rows),
        without_quality=(*found.without_quality, *(pair.measured for pair in unscored)),
        without_cost=found.without_cost,
        published=published,
        remarks=tuple(_remarks(found, metric)),
    )


def _chosen(fronts: Sequence[SampleFront], wanted: str) -> list[SampleFront]:
    if wanted == EVERY_SET:
        return list(fronts)
    chosen = [
        one
        for one in fronts
        if wanted in (one.samples.name, one.samples.file)
        or (one.samples.known is not None and wanted == one.samples.known.dataset)
    ]
    if not chosen:
        names = ", ".join(one.samples.name for one in fronts)
        raise ConfigError(f"No run is about the samples '{wanted}'. There are: {names}.")
    return chosen


def _require_metric(fronts: Sequence[SampleFront], metric: str) -> None:
    evaluations = [pair.evaluation for one in fronts for pair in one.pairs]
    evaluations += [found for one in fronts for found in one.without_cost]
    known = sorted({score.metric for one in evaluations for score in one.scores})
    if metric not in known:
        names = ", ".join((*QUALITIES, *known))
        raise ConfigError(f"No run was scored by '{metric}'. There are: {names}.")


def _row(pair: Pair, score: Score, costs: Sequence[Cost]) -> FrontRow:
    point = pair.measured.point
    figures = {cost.name: cost.take(point) for cost in costs}
    missing = [cost.title for cost in costs if figures[cost.name] is None]
    reasons = [REFUSED_WORDS] if point.parity == REFUSED else []
    reasons += [f"not available: {', '.join(missing).lower()}"] if missing else []
    return FrontRow(
        name=pair.measured.name,
        pair=pair,
        score=score,
        costs={name: figure for name, figure in figures.items() if figure is not None},
        standing=None,
        why_none="; ".join(reasons),
    )


def _turned(figures: Mapping[str, Figure], costs: Sequence[Cost]) -> dict[str, Figure]:
    """Costs of which less is better: a gain with its sign turned."""
    return {
        cost.name: figures[cost.name].negated if cost.is_gain else figures[cost.name]
        for cost in costs
    }


def _order(row: FrontRow, cost: Cost) -> tuple[bool, float]:
    figure = row.costs.get(cost.name)
    if figure is None:
        return True, -row.score.value
    return False, -figure.value if cost.is_gain else figure.value


def _remarks(found: SampleFront, metric: str) -> list[str]:
    remarks = []
    blind = blind_best(found.samples, metric)
    if blind is not None:
        remarks.append(
            f"By {metric}, answers that never look at the image reach {100 * blind:.1f} % here: "
            "it is there to compare with published figures, not to choose by."
        )
    busy = [pair.measured.name for pair in found.pairs if pair.measured.point.conditions.is_busy]
    if busy:
        remarks.append(f"Measured on a busy machine: {', '.join(busy)}.")
    return remarks


def _with_choice(front: Front, settings: ParetoSettings) -> Front:
    remarks = list(front.remarks)
    if settings.with_published:
        costs = settings.costs
        why = (
            why_no_published(front.sample_front.samples, front.metric, costs[0])
            if len(costs) == 1
            else "Published systems are shown where one cost is asked for."
        )
        remarks += [why] if why else []
    offers = [
        Offer(name=row.name, point=row.pair.measured.point, quality=row.quality)
        for row in front.rows
        if row.pair.measured.point.parity != REFUSED
    ]
    return replace(
        front,
        published=front.published if settings.with_published else (),
        remarks=tuple(remarks),
        choice=choose(offers, settings.bounds) if settings.bounds else None,
    )
