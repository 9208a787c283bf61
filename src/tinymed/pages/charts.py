"""Plots as plain SVG: no script, no font of its own, colours from the page.

Everything is drawn in CSS classes (`model`, `control`, `grid`, …) and percent of the width,
so that a plot follows the page's theme and its width and text keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from tinymed.pages.document import Mark

_TICKS = (0, 25, 50, 75, 100)
_STRIP_HEIGHT_PX = 24
_DOT_PX = 4.5


def strip(marks: Sequence[Mark]) -> str:
    """Dots with their intervals on one line from 0 to 100 %.

    Hidden from screen readers: the figures stand in the table's own cells. The model is drawn
    last, so that nothing lies over it; with controls beside it, it runs a little above them.

    >>> strip([Mark(value=0.5, low=0.4, high=0.6)]).count("<circle")
    1
    """
    apart = 4 if len({mark.is_model for mark in marks}) > 1 else 0
    lines = [
        f'<line class="{"edge" if tick in (0, 100) else "grid"}" x1="{tick}%" x2="{tick}%" '
        f'y1="0" y2="{_STRIP_HEIGHT_PX}"/>'
        for tick in _TICKS
    ]
    for mark in sorted(marks, key=lambda mark: mark.is_model):
        y = _STRIP_HEIGHT_PX / 2 + (-apart if mark.is_model else apart)
        lines.append(_interval(mark, y=y))
    return (
        f'<svg class="strip" aria-hidden="true" focusable="false" width="100%" '
        f'height="{_STRIP_HEIGHT_PX}">{"".join(lines)}</svg>'
    )


def _interval(mark: Mark, *, y: float) -> str:
    kind = "model" if mark.is_model else "control"
    return (
        f'<g class="{kind}"><line x1="{_percent(mark.low)}" x2="{_percent(mark.high)}" '
        f'y1="{y:g}" y2="{y:g}"/>'
        f'<circle cx="{_percent(mark.value)}" cy="{y:g}" r="{_DOT_PX:g}"/></g>'
    )


def _percent(fraction: float) -> str:
    return f"{100 * min(1.0, max(0.0, fraction)):.2f}%"


def strip_axis() -> str:
    """The scale that stands over a column of strips."""
    # The ends lean inwards, so that they do not leave the column.
    anchors = {0: "start", 100: "end"}
    words = "".join(
        f'<text x="{tick}%" y="12" text-anchor="{anchors.get(tick, "middle")}">{tick}</text>'
        for tick in (0, 50, 100)
    )
    return (
        '<svg class="axis" aria-hidden="true" focusable="false" width="100%" height="16">'
        f"{words}</svg>"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place in a square plot, both ways from 0 to 1."""

    x: float
    y: float
    num_samples: int | None = None
    """Sets the size of its dot, where known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What a square plot is of."""

    title: str
    x: str
    y: str


_SIDE = 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 12, 16, 46
_LARGEST_DOT_PX, _SMALLEST_DOT_PX = 9.0, 3.0


def square_plot(
    axes: Axes, points: Sequence[Point], *, description: str, diagonal: bool = False
) -> str:
    """Points joined by a line on a square from 0 to 100 %, both ways.

    Args:
        axes: The plot's title and what its axes count.
        points: In the order of x.
        description: For a screen reader: what is to be seen.
        diagonal: Whether to draw the line on which x and y agree.
    """
    width, height = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM
    parts = [f"<title>{escape(axes.title)}</title>", f"<desc>{escape(description)}</desc>"]
    for tick in _TICKS:
        x, y = _place(tick / 100, tick / 100)
        kind = "edge" if tick == 0 else "grid"
        parts += [
            f'<line class="{kind}" x1="{x:g}" x2="{x:g}" y1="{_TOP}" y2="{_TOP + _SIDE}"/>',
            f'<line class="{kind}" x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{y:g}" y2="{y:g}"/>',
            f'<text x="{x:g}" y="{_TOP + _SIDE + 17}" text-anchor="middle">{tick}</text>',
            f'<text x="{_LEFT - 7}" y="{y + 4:g}" text-anchor="end">{tick}</text>',
        ]
    middle_x, middle_y = _LEFT + _SIDE / 2, _TOP + _SIDE / 2
    parts += [
        f'<text x="{middle_x:g}" y="{height - 8}" text-anchor="middle">{escape(axes.x)}</text>',
        f'<text x="{-middle_y:g}" y="13" transform="rotate(-90)" text-anchor="middle">'
        + escape(axes.y)
        + "</text>",
    ]
    if diagonal:
        (x1, y1), (x2, y2) = _place(0, 0), _place(1, 1)
        parts.append(f'<line class="diagonal" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>')
    parts.append(_curve(points))
    return (
        f'<svg class="square" role="img" aria-label={quoteattr(axes.title + ". " + description)} '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">{"".join(parts)}</svg>'
    )


def _place(x: float, y: float) -> tuple[float, float]:
    inside_x, inside_y = (min(1.0, max(0.0, value)) for value in (x, y))
    return (round(_LEFT + _SIDE * inside_x, 2), round(_TOP + _SIDE * (1 - inside_y), 2))


def _curve(points: Sequence[Point]) -> str:
    places = [_place(point.x, point.y) for point in points]
    path = " ".join(f"{x:g},{y:g}" for x, y in places)
    most = max((point.num_samples or 0 for point in points), default=0)
    dots = "".join(
        f'<circle cx="{x:g}" cy="{y:g}" r="{_dot(point.num_samples, most=most):g}"/>'
        for point, (x, y) in zip(points, places, strict=True)
        if point.num_samples is not None
    )
    return f'<g class="model"><polyline points="{path}"/>{dots}</g>'


def _dot(num_samples: int | None, *, most: int) -> float:
    """A radius whose square grows with n, so that the dot's area shows it."""
    share = (num_samples or 0) / most if most else 0.0
    return round(max(_SMALLEST_DOT_PX, _LARGEST_DOT_PX * math.sqrt(share)), 2)
