"""Fronts as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from tinymed.profile.pareto.costs import COSTS, Cost, said
from tinymed.profile.pareto.front import Figure
from tinymed.profile.pareto.published import PublishedPoint
from tinymed.profile.pareto.query import Choice
from tinymed.profile.pareto.weigh import Front, FrontRow
from tinymed.records import NOTICE

_WIDTH = 100
_MARKS = {"on the front": "*", "dominated, intervals overlap": "~"}
_LEGEND = (
    "* on the front: no other build is at least as good in everything and better in something",
    "~ dominated by the figures, but not told apart: intervals overlap; `tinymed evaluate compare`",
    "  pairs the answers of two builds and sees smaller differences",
    "Behind a figure of several runs: its 95th percentile. Memory in MiB or GiB (2**20, 2**30).",
)


def fronts_text(fronts: Sequence[Front]) -> str:
    """Fronts as text: a table for each set of samples, and what fits the bounds."""
    blocks = ["\n".join(_front_lines(front)) for front in fronts]
    return "\n\n".join((*blocks, "\n".join((*_LEGEND, NOTICE))))


def _front_lines(front: Front) -> list[str]:
    costs = " and ".join(cost.title.lower() for cost in front.costs)
    lines = [f"{front.title}: {front.metric} against {costs}", ""]
    if front.rows:
        lines += _table(front)
    else:
        lines.append("No build here was both measured and evaluated.")
    lines += _published(front.published)
    missing = {
        "Measured, not evaluated on these samples": [one.name for one in front.without_quality],
        "Evaluated, not measured": [one.name for one in front.without_cost],
    }
    said_of = [f"{words}: {', '.join(names)}." for words, names in missing.items() if names]
    choice = [] if front.choice is None else ["", *choice_sentences(front.choice)]
    for sentence in (*said_of, *front.remarks, *choice):
        lines += wrap(sentence, _WIDTH, subsequent_indent="  ") or [""]
    return lines


def _table(front: Front) -> list[str]:
    headings = ["", "", "quality [95 %]", *(cost.name for cost in front.costs), ""]
    rows = [headings, *(_cells(row, front.costs) for row in front.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        mark, name, *figures, status = row
        cells = [cell.rjust(width) for cell, width in zip(figures, widths[2:-1], strict=True)]
        line = f"{mark.ljust(widths[0])} {name.ljust(widths[1])}  {'  '.join(cells)}  {status}"
        lines.append(line.rstrip())
    return [*lines, ""]


def _cells(row: FrontRow, costs: Sequence[Cost]) -> list[str]:
    low, high = row.score.interval
    quality = f"{100 * row.score.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    figures = [cost_text(row.costs.get(cost.name), cost) for cost in costs]
    return [_MARKS.get(row.status, ""), row.name, quality, *figures, row.status]


def cost_text(figure: Figure | None, cost: Cost) -> str:
    """A cost as a table has it: its median and, of several runs, how slow a slow one is.

    >>> cost_text(Figure(value=80.0, low=78.0, high=95.5), COSTS["first-token"])
    '80.0 ms (p95 95.5)'
    """
    if figure is None:
        return "-"
    if cost.is_gain or figure.low == figure.high:
        return said(figure.value, cost.unit)
    median, slow = said(figure.value, cost.unit), said(figure.high, cost.unit)
    number, _, unit = slow.rpartition(" ")
    return f"{median} (p95 {number if median.endswith(f' {unit}') else slow})"


def _published(points: Sequence[PublishedPoint]) -> list[str]:
    """Published systems, and what makes them not comparable."""
    if not points:
        return []
    lines = ["Published, by the same metric:"]
    for point in points:
        lines.append(f"o {point.system}: {100 * point.quality:.2f} at {said(point.mib, 'MiB')}")
        lines += _indented(f"not comparable in: {point.differs_in}")
    for label, words in (
        ("Scored by", [point.scorer for point in points]),
        ("Memory:", [point.definition for point in points]),
        ("From", [point.source for point in points]),
    ):
        lines += _indented(f"{label} {'; '.join(dict.fromkeys(words))}.")
    return [*lines, ""]


def _indented(text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")


def choice_sentences(choice: Choice) -> list[str]:
    """What fits the bounds, in sentences.

    >>> choice_sentences(Choice(bounds=(), best="nano:native-int8"))
    ['Best within : nano:native-int8. No other build within is as good by its interval.']
    """
    within = ", ".join(bound.text for bound in choice.bounds)
    sentences = []
    if choice.best is not None:
        rest = (
            f"Not told apart from it by quality: {', '.join(choice.runners_up)}."
            if choice.runners_up
            else "No other build within is as good by its interval."
        )
        sentences.append(f"Best within {within}: {choice.best}. {rest}")
        sentences += choice.sometimes_over
    elif choice.nearest is None:
        sentences.append(f"No build can be held against {within}: none has the figures for it.")
    else:
        ways = " and ".join(
            f"{one.bound.text} would have to be {said(one.value, COSTS[one.bound.cost].unit)}"
            for one in choice.gives_way
        )
        sentences.append(f"Nothing fits {within}. Closest is {choice.nearest}: {ways}.")
    if choice.unknown:
        sentences.append(f"Not considered, for want of a figure: {', '.join(choice.unknown)}.")
    return sentences
