"""What others printed of memory and of a judge's scores, with what is known to be wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.pages.document import (
    Block,
    Cell,
    Column,
    Definitions,
    Figure,
    Plots,
    Row,
    RowGroup,
    Section,
    Table,
)
from tinymed.pages.scales import scale_over
from tinymed.pages.scatter import Axis, Dot, Scatter, draw_scatter
from tinymed.profile.pareto.published import mib_of
from tinymed.published.memory import (
    definitions,
    derived_static,
    derived_statics,
    measured_elsewhere,
    reductions,
    targets,
)
from tinymed.published.rows import JudgeRow, judge_rows


def published_section() -> Section:
    """The published memory figures, and the poster's trade-off as far as it can be drawn."""
    blocks: list[Block] = [
        Plots(figures=(_judge_figure(),)),
        _reductions(),
        _derived(),
        _elsewhere(),
        Definitions(
            words={one.title: f"{one.rule} ({one.source})" for one in definitions().values()}
        ),
    ]
    return Section(id="published", title="What others printed", blocks=tuple(blocks))


def _drawable() -> list[tuple[JudgeRow, float]]:
    """The judge's rows whose memory we could derive, all of one table: judges are not alike."""
    found = [(row, derived_static(row.system)) for row in judge_rows()]
    with_memory = [(row, memory) for row, memory in found if memory is not None]
    source = with_memory[0][0].source
    return [(row, mib_of(memory)) for row, memory in with_memory if row.source == source]


def _judge_figure() -> Figure:
    rows = _drawable()
    dots = tuple(
        Dot(label=row.system, look="published", x=mib, y=float(row.scores["overall"]))
        for row, mib in rows
    )
    x = scale_over([dot.x for dot in dots])
    description = ", ".join(
        f"{row.system} {row.scores['overall']} at {mib / 1024:.2f} GiB" for row, mib in rows
    )
    drawn = draw_scatter(
        Scatter(
            title="Published: a judge's score against static memory",
            description=description,
            x=Axis(title=f"Static memory derived by us, MiB{', log scale' * x.is_log}", scale=x),
            y=Axis(
                title="Judge's score, % of GPT-4's",
                scale=scale_over([dot.y for dot in dots], ends=(0.0, 100.0)),
            ),
            dots=dots,
        )
    )
    remarks = " ".join(f"{row.system}: {remark}." for row, _ in rows for remark in row.remarks)
    first = rows[0][0]
    return Figure(
        name="published-judge-static",
        caption=f"The trade-off of {first.source}: overall score by {first.scorer}, on "
        f"{first.split}. No intervals and no memory in GB were printed; the memory is derived by "
        f"us from the shapes. Your own models stand elsewhere: another judge is another scale. "
        f"{remarks}",
        description=description,
        svg=drawn.svg,
    )


def _rows(rows: Sequence[Sequence[str]]) -> tuple[RowGroup, ...]:
    return (
        RowGroup(rows=tuple(Row(cells=tuple(Cell(text=text) for text in row)) for row in rows)),
    )


def _reductions() -> Table:
    return Table(
        caption="Reductions, in percent as printed",
        columns=(
            Column(title="System", kind="text"),
            Column(title="against", kind="text"),
            Column(title="static"),
            Column(title="dynamic"),
            Column(title="total"),
            Column(title="known of it", kind="text"),
            Column(title="source", kind="text"),
        ),
        groups=_rows(
            [
                (
                    *(one.system, one.against),
                    *(one.static_percent or "–", one.dynamic_percent or "–"),
                    *(one.total_percent or "–", "; ".join(one.remarks), one.source),
                )
                for one in reductions()
            ]
        ),
        remarks=(
            "Devices that the systems were made for: "
            + ", ".join(f"{one.device} {one.memory}" for one in targets())
            + ".",
        ),
    )


def _derived() -> Table:
    return Table(
        caption="Static memory derived by us from the published shapes: nobody printed it",
        columns=(
            Column(title="Shape", kind="text"),
            Column(title="bits"),
            Column(title="GiB"),
            Column(title="published systems of this shape", kind="text"),
        ),
        groups=_rows(
            [
                (one.shape, one.bits, one.static_gib, ", ".join(one.systems))
                for one in derived_statics()
            ]
        ),
    )


def _elsewhere() -> Table:
    titles = definitions()
    return Table(
        caption="Measured by others, each by its own definition",
        columns=(
            Column(title="System", kind="text"),
            Column(title="device", kind="text"),
            Column(title="memory"),
            Column(title="what it is", kind="text"),
            Column(title="known of it", kind="text"),
            Column(title="source", kind="text"),
        ),
        groups=_rows(
            [
                (
                    *(one.system, one.device, one.memory, titles[one.definition].title),
                    *("; ".join(one.remarks) or "–", one.source),
                )
                for one in measured_elsewhere()
            ]
        ),
    )
