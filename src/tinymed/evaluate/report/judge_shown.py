"""What a judge found (`judge.json`), as a section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinymed.evaluate.report.facts import fact_tables, list_table
from tinymed.pages.document import Block, Cell, Column, Row, RowGroup, Section, Table

_REMARK = (
    "A judge's score is one language model's opinion of another's text; it has not seen the "
    "image. Judges differ: compare only figures that the same judge gave."
)


def judge_section(judge: Mapping[str, Any]) -> Section:
    """The judge's scores by group, how much the order decided, and who the judge was."""
    blocks: list[Block] = []
    groups = [one for one in judge.get("groups") or () if isinstance(one, Mapping)]
    if groups:
        blocks.append(_groups_table(groups))
    wanted = {"order": "What the order of answers changes", "usage": "The judge's replies"}
    for key, caption in wanted.items():
        if isinstance(judge.get(key), Mapping):
            blocks += fact_tables(judge[key], caption=caption)
    unparsed = judge.get("unparsed")
    if isinstance(unparsed, list) and unparsed:
        blocks += [list_table(unparsed, "Replies without scores")]
    if isinstance(judge.get("run"), Mapping):
        run = {key: value for key, value in judge["run"].items() if value is not None}
        blocks += fact_tables(run, caption="The judge's run")
    return Section(id="judge", title="By a judge", blocks=tuple(blocks))


def _groups_table(groups: list[Mapping[str, Any]]) -> Table:
    is_swapped = any(isinstance(group.get("both_orders"), Mapping) for group in groups)
    columns = [
        Column(title="group", kind="text"),
        Column(title="n"),
        Column(title="% of reference's score"),
        *([Column(title="mean of both orders")] if is_swapped else []),
        Column(title="reference's score"),
        Column(title="answer's score"),
        Column(title="unparsed"),
    ]
    return Table(
        caption="The answers' score in percent of the references', with its 95 % interval",
        columns=tuple(columns),
        groups=(RowGroup(rows=tuple(_row(group, is_swapped=is_swapped) for group in groups)),),
        remarks=(_REMARK,),
    )


def _row(group: Mapping[str, Any], *, is_swapped: bool) -> Row:
    both = group.get("both_orders")
    cells = [
        Cell(text=str(group.get("group", "–")).replace("_", " ")),
        Cell(text=str(group.get("num_samples", "–"))),
        _relative(group),
    ]
    if is_swapped:
        cells.append(_relative(both if isinstance(both, Mapping) else {}))
    cells += [
        Cell(text=_number(group.get("reference_score"))),
        Cell(text=_number(group.get("prediction_score"))),
        Cell(text=str(group.get("num_unparsed", "–"))),
    ]
    return Row(cells=tuple(cells))


def _relative(figures: Mapping[str, Any]) -> Cell:
    interval = figures.get("interval_percent")
    detail = (
        "[" + ",\N{NO-BREAK SPACE}".join(f"{bound:.1f}" for bound in interval) + "]"
        if isinstance(interval, list) and all(isinstance(one, int | float) for one in interval)
        else ""
    )
    value = figures.get("relative_score_percent")
    return Cell(
        text=f"{value:.1f}" if isinstance(value, int | float) else "–",
        detail=detail,
        is_strong=True,
    )


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "–"
