"""Quality against cost as plots and tables: who is on the front, and what cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinymed.pages.document import (
    Block,
    Cell,
    Column,
    Figure,
    Plots,
    Row,
    RowGroup,
    Section,
    Table,
    Text,
)
from tinymed.pages.scales import Scale, scale_over
from tinymed.pages.scatter import Axis, Dot, Look, Scatter, draw_scatter
from tinymed.profile.pareto import front as fronts
from tinymed.profile.pareto.costs import Cost, said
from tinymed.profile.pareto.join import SampleFront
from tinymed.profile.pareto.weigh import QUALITIES, Front, FrontRow, front_of
from tinymed.profile.report.names import marks, short_names

LOOKS: dict[str, Look] = {
    "on the front": "front",
    "dominated": "dominated",
    "dominated, intervals overlap": "untold",
}
METRIC_TITLES = {"closed_accuracy": "Closed accuracy", "open_recall": "Open recall"}
PUBLISHED_QUALITY, PUBLISHED_COST = "tinyllava_med_closed", "static"
_KEY = (
    "Large dots and the stepped line: the front. Pale dots: beaten by the figures, but not told "
    "apart. Small grey dots: dominated. Crosses: take no part. Hollow: published. Bars: 95 % "
    "interval of the quality; of a time, from its quickest run to its 95th percentile."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Which fronts a page draws."""

    qualities: tuple[str, ...]
    """Names of QUALITIES or of metrics; of one that no build was scored by, nothing is drawn."""
    costs: tuple[str, ...]
    with_published: bool


def metric_title(metric: str) -> str:
    """What a metric is called along an axis.

    >>> metric_title("closed_accuracy"), metric_title("open_rouge_l")
    ('Closed accuracy', 'open_rouge_l')
    """
    return METRIC_TITLES.get(metric, metric)


def front_section(found: SampleFront, shown: Shown) -> Section:
    """Everything about one set of samples."""
    blocks: list[Block] = []
    for quality in shown.qualities:
        blocks += _blocks_of(found, QUALITIES.get(quality, quality), shown)
    if shown.with_published:
        blocks += _published(found, shown)
    if blocks:
        blocks.insert(0, Text(paragraphs=(_KEY,)))
    missing = _missing(found)
    if missing or not blocks:
        blocks.append(Text(paragraphs=missing or ("Nothing here was measured and evaluated.",)))
    return Section(
        id=f"front-{found.samples.name}".replace(" ", "-"),
        title=f"Quality against cost: {found.samples.title}",
        blocks=tuple(blocks),
    )


def _blocks_of(found: SampleFront, metric: str, shown: Shown) -> Iterator[Block]:
    fronts_of_each = [front_of(found, metric, [cost]) for cost in shown.costs]
    if not any(front.rows for front in fronts_of_each):
        return
    drawn = [front_figure(front) for front in fronts_of_each if _drawn(front)]
    if drawn:
        yield Plots(figures=tuple(drawn))
    together = front_of(found, metric, shown.costs) if len(shown.costs) > 1 else None
    yield _table(fronts_of_each, together)


def _drawn(front: Front) -> list[FrontRow]:
    return [row for row in front.rows if front.costs[0].name in row.costs]


def front_figure(front: Front) -> Figure:
    """One front as a plot: of each build quality upwards, its cost to the right."""
    (cost,) = front.costs
    rows = _drawn(front)
    names = short_names(row.name for row in rows)
    dots = [_dot(row, names[row.name], cost) for row in _in_order(rows)]
    dots += [
        Dot(label=one.system, look="published", x=one.mib, y=100 * one.quality)
        for one in front.published
    ]
    x = scale_over([value for dot in dots for value in (dot.x, *(dot.x_interval or ()))])
    y = scale_over(
        [value for dot in dots for value in (dot.y, *(dot.y_interval or ()))], ends=(0.0, 100.0)
    )
    log = ", log scale" if x.is_log else ""
    title = f"{metric_title(front.metric)} against {cost.title.lower()}: {front.title}"
    drawn = draw_scatter(
        Scatter(
            title=title,
            description=_description(front, rows, names),
            x=Axis(title=f"{cost.axis}{log}", scale=x),
            y=Axis(title=f"{metric_title(front.metric)}, %", scale=y),
            dots=tuple(dots),
            steps=tuple(_steps(rows, cost, x, y)),
        )
    )
    models = {row.name.partition(":")[0] for row in rows}
    of = f" of {models.pop()}" if len(models) == 1 else ""
    unnamed = f" No room for the names of {', '.join(drawn.unnamed)}." if drawn.unnamed else ""
    return Figure(
        name=f"{front.sample_front.samples.name}-{front.metric}-{cost.name}",
        caption=f"{metric_title(front.metric)} against {cost.title.lower()}{of}: {cost.meaning}."
        f"{unnamed}",
        description=_description(front, rows, names),
        svg=drawn.svg,
    )


def _in_order(rows: Sequence[FrontRow]) -> list[FrontRow]:
    """Those that matter most first: they choose where their names stand."""
    order = list(LOOKS)
    return sorted(rows, key=lambda row: order.index(row.status) if row.standing else len(order))


def _dot(row: FrontRow, label: str, cost: Cost) -> Dot:
    figure, quality = row.costs[cost.name], row.quality
    return Dot(
        label=label,
        look=LOOKS[row.standing.status] if row.standing else "refused",
        x=figure.value,
        y=100 * quality.value,
        x_interval=None if figure.low == figure.high else (figure.low, figure.high),
        y_interval=(100 * quality.low, 100 * quality.high),
    )


def _steps(
    rows: Sequence[FrontRow], cost: Cost, x: Scale, y: Scale
) -> Iterator[tuple[float, float]]:
    """The border of what the front beats, from its cheapest build to its best."""
    on_it = [row for row in rows if row.status == "on the front"]
    on_it.sort(key=lambda row: (row.quality.value, row.costs[cost.name].value))
    height = y.low
    for row in on_it:
        yield row.costs[cost.name].value, height
        height = 100 * row.quality.value
        yield row.costs[cost.name].value, height
    if on_it:
        yield (x.low if cost.is_gain else x.high), height


def _description(front: Front, rows: Sequence[FrontRow], names: dict[str, str]) -> str:
    (cost,) = front.costs
    on_it = [
        f"{names[row.name]} ({100 * row.score.value:.1f} % at "
        f"{said(row.costs[cost.name].value, cost.unit)})"
        for row in rows
        if row.status == "on the front"
    ]
    rest = len(rows) - len(on_it)
    return f"On the front: {', '.join(on_it) or 'none'}; {rest} more. The table has the figures."


def _table(fronts_of_each: Sequence[Front], together: Front | None) -> Table:
    first = fronts_of_each[0]
    by_cost = [{row.name: row for row in front.rows} for front in fronts_of_each]
    joint = {row.name: row for row in together.rows} if together else {}
    columns = [
        Column(title="Build", kind="text"),
        Column(title=f"{metric_title(first.metric)}, %"),
        Column(title="n"),
    ]
    for front in fronts_of_each:
        columns += [Column(title=front.costs[0].title), Column(title="stands", kind="text")]
    if together:
        columns.append(Column(title="all costs together", kind="text"))
    rows = []
    for row in first.rows:
        low, high = row.score.interval
        cells = [
            Cell(text=row.name, detail=", ".join(marks(row.pair.measured.point))),
            Cell(
                text=f"{100 * row.score.value:.1f}",
                detail=f"[{100 * low:.1f},\N{NO-BREAK SPACE}{100 * high:.1f}]",
            ),
            Cell(text=str(row.score.num_samples)),
        ]
        for front, rows_by_name in zip(fronts_of_each, by_cost, strict=True):
            cells += _cost_cells(rows_by_name[row.name], front.costs[0])
        if together:
            cells.append(_standing_cell(joint[row.name]))
        rows.append(Row(cells=tuple(cells)))
    return Table(
        caption=f"{metric_title(first.metric)} and what it costs",
        columns=tuple(columns),
        groups=(RowGroup(rows=tuple(rows)),),
        remarks=first.remarks,
    )


def _cost_cells(row: FrontRow, cost: Cost) -> list[Cell]:
    return [cost_cell(row.costs.get(cost.name), cost), _standing_cell(row)]


def cost_cell(figure: fronts.Figure | None, cost: Cost) -> Cell:
    """A cost with, below it, how slow a slow run is."""
    if figure is None:
        return Cell(text="not available")
    is_slow_high = not cost.is_gain and figure.low != figure.high
    detail = f"p95 {said(figure.high, cost.unit)}" if is_slow_high else ""
    return Cell(text=said(figure.value, cost.unit), detail=detail)


def _standing_cell(row: FrontRow) -> Cell:
    is_on_it = row.status == "on the front"
    by = row.standing.dominated_by if row.standing else ()
    return Cell(text=row.status, detail=f"by {', '.join(by)}" if by else "", is_strong=is_on_it)


def _published(found: SampleFront, shown: Shown) -> Iterator[Block]:
    """The front on which published systems stand, if it is not one of those shown."""
    front = front_of(found, PUBLISHED_QUALITY, [PUBLISHED_COST])
    if not front.published or not front.rows:
        return
    if PUBLISHED_QUALITY not in shown.qualities or PUBLISHED_COST not in shown.costs:
        yield Plots(figures=(front_figure(front),))
    rows = [
        Row(
            cells=(
                Cell(text=one.system),
                Cell(text=f"{100 * one.quality:.2f}"),
                Cell(text=said(one.mib, "MiB")),
                Cell(text=one.differs_in),
            )
        )
        for one in front.published
    ]
    yield Table(
        caption="Published systems by the same metric, and what they are not comparable in",
        columns=(
            Column(title="System", kind="text"),
            Column(title=f"{metric_title(front.metric)}, %"),
            Column(title=front.costs[0].title),
            Column(title="Not comparable in", kind="text"),
        ),
        groups=(RowGroup(rows=tuple(rows)),),
        remarks=(
            *_each_once("Scored by", [one.scorer for one in front.published]),
            *_each_once("Memory:", [one.definition for one in front.published]),
            *_each_once("From", [one.source for one in front.published]),
            *front.remarks,
        ),
    )


def _each_once(label: str, words: Sequence[str]) -> list[str]:
    return [f"{label} {one}." for one in dict.fromkeys(words)]


def _missing(found: SampleFront) -> tuple[str, ...]:
    sentences = []
    if found.without_cost:
        names = ", ".join(one.name for one in found.without_cost)
        sentences.append(f"Evaluated, but not measured: {names}.")
    if found.without_quality:
        names = ", ".join(one.name for one in found.without_quality)
        sentences.append(f"Measured, but not evaluated on these samples: {names}.")
    return tuple(sentences)
