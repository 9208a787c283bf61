"""What the plan had said against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.pages.document import Block, Cell, Column, Figure, Plots, Row, RowGroup, Section, Table
from tinymed.pages.scales import scale_over
from tinymed.pages.scatter import Axis, Dot, Scatter, draw_scatter
from tinymed.profile.pareto.costs import peak_mib, said
from tinymed.profile.pareto.join import Named
from tinymed.profile.point import Point
from tinymed.profile.report.names import name_cell

CLOSE = 0.10
"""A prediction within this share of what was measured is a good one."""
_CLOSE_TEXT = f"{100 * CLOSE:.0f} %"
_MOST_NAMES = 5
_REMARK = (
    "Predicted from the model's shape, its scheme and what is known of this machine, before "
    "anything was opened. Error: (predicted − measured) / measured, strong beyond "
    f"{_CLOSE_TEXT}; below it predicted and measured, of several runs the median."
)
_TITLES = {
    "peak_mib": "peak memory",
    "static_mib": "static memory",
    "disk_mib": "size on the disk",
    "decode_tokens_per_s": "speed of decoding",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One figure, predicted and measured."""

    point: str
    figure: str
    """A name of FIGURES, or "peak_mib" and the like."""
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """(predicted - measured) / measured."""
        return (self.predicted - self.measured) / self.measured

    @property
    def unit(self) -> str:
        """Of both."""
        endings = {"_mib": "MiB", "_ms": "ms", "_per_s": "tokens/s", "_s": "s"}
        return next(unit for ending, unit in endings.items() if self.figure.endswith(ending))

    @property
    def title(self) -> str:
        """The figure in words."""
        words = self.figure.removesuffix("_ms").removesuffix("_s")
        return _TITLES.get(self.figure, words.replace("_", " "))


def predictions_of(one: Named) -> list[Prediction]:
    """Every figure of a point that was both predicted and measured, memory first."""
    found = []
    for figure, value in one.point.predicted.items():
        measured = _measured(one.point, figure)
        if measured:
            found.append(
                Prediction(point=one.name, figure=figure, predicted=value, measured=measured)
            )
    return sorted(found, key=lambda each: each.unit != "MiB")


def _measured(point: Point, figure: str) -> float | None:
    memory = {
        "peak_mib": peak_mib(point),
        "static_mib": point.memory.static,
        "disk_mib": point.memory.disk,
    }
    if figure in memory:
        return memory[figure]
    found = point.figures.get(figure)
    return None if found is None else found.median


def predicted_section(points: Sequence[Named]) -> Section | None:
    """Predicted against measured; None where nothing was predicted."""
    found = {one.name: predictions_of(one) for one in points}
    every = [each for predictions in found.values() for each in predictions]
    if not every:
        return None
    figures = [
        _figure([each for each in every if each.unit == unit], unit)
        for unit in ("MiB", "ms")
        if any(each.unit == unit for each in every)
    ]
    blocks: list[Block] = [Plots(figures=tuple(figures))] if figures else []
    blocks += [
        _table(caption, [each for each in every if (each.unit == "MiB") == is_memory], points)
        for caption, is_memory in (("Memory", True), ("Times and speed", False))
        if any((each.unit == "MiB") == is_memory for each in every)
    ]
    return Section(id="predicted", title="Predicted against measured", blocks=tuple(blocks))


def _table(caption: str, predictions: Sequence[Prediction], points: Sequence[Named]) -> Table:
    """A row a point, a column a figure: its error, and below it what it is the error of."""
    figures = {each.figure: each.title for each in predictions}
    by_place = {(each.point, each.figure): each for each in predictions}
    named = {each.point for each in predictions}
    return Table(
        caption=f"{caption}: error of what was predicted",
        columns=(
            Column(title="Point", kind="text"),
            *(Column(title=title) for title in figures.values()),
        ),
        groups=(
            RowGroup(
                rows=tuple(
                    Row(
                        cells=(
                            name_cell(one.name, one.point),
                            *(_cell(by_place.get((one.name, figure))) for figure in figures),
                        )
                    )
                    for one in points
                    if one.name in named
                )
            ),
        ),
        remarks=(_REMARK,),
    )


def _cell(each: Prediction | None) -> Cell:
    if each is None:
        return Cell(text="–")
    return Cell(
        text=percent_text(each.error),
        detail=f"{_unbroken(each.predicted, each.unit)}, {_unbroken(each.measured, each.unit)}",
        is_strong=abs(each.error) > CLOSE,
    )


def _unbroken(value: float, unit: str) -> str:
    return said(value, unit).replace(" ", "\N{NO-BREAK SPACE}")


def percent_text(error: float) -> str:
    """An error with its sign.

    >>> percent_text(0.034), percent_text(-0.2), percent_text(-0.0001)
    ('+3.4\\xa0%', '−20.0\\xa0%', '0.0\\xa0%')
    """
    text = f"{abs(100 * error):.1f}"
    sign = "" if float(text) == 0 else "+" if error > 0 else "\N{MINUS SIGN}"
    return f"{sign}{text}\N{NO-BREAK SPACE}%"


def _figure(predictions: Sequence[Prediction], unit: str) -> Figure:
    close = [each for each in predictions if abs(each.error) <= CLOSE]
    # What misses is what a reader looks for.
    ordered = sorted(predictions, key=lambda each: -abs(each.error))
    named = [each for each in ordered if abs(each.error) > CLOSE][:_MOST_NAMES]
    dots = tuple(
        Dot(
            label=f"{each.point}, {each.title}" if each in named else "",
            look="untold" if abs(each.error) <= CLOSE else "front",
            x=each.measured,
            y=each.predicted,
        )
        for each in ordered
    )
    scale = scale_over([value for dot in dots for value in (dot.x, dot.y)])
    what = "Memory" if unit == "MiB" else "Times"
    description = (
        f"{len(close)} of {len(predictions)} predictions are within {_CLOSE_TEXT}; the worst is "
        f"{percent_text(ordered[0].error)}, {ordered[0].title} of {ordered[0].point}."
    )
    log = ", log scale" if scale.is_log else ""
    drawn = draw_scatter(
        Scatter(
            title=f"{what}: predicted against measured",
            description=description,
            x=Axis(title=f"Measured, {unit}{log}", scale=scale),
            y=Axis(title=f"Predicted, {unit}{log}", scale=scale),
            dots=dots,
            band=CLOSE,
        )
    )
    return Figure(
        name=f"predicted-{what.lower()}",
        caption=f"{what}: each predicted figure over the measured one. The line: they agree; the "
        f"band: within {_CLOSE_TEXT}. Strong dots lie outside; the worst are named. {description}",
        description=description,
        svg=drawn.svg,
    )
