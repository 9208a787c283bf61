"""Dots with error bars on two scales, each with its name: fronts, and figures against figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from tinymed.pages.labels import (
    CHARACTER_PX,
    LEADER_FROM_PX,
    STRONG_CHARACTER_PX,
    Anchor,
    Box,
    leader_end,
    place_labels,
)
from tinymed.pages.scales import Scale, tick_text

Look = Literal["front", "untold", "dominated", "refused", "published"]
"""How a dot is drawn: full and strong; full and pale; small and grey; a cross; hollow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A figure both ways; an interval is where it may really lie."""

    label: str
    look: Look
    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What is counted along one side."""

    title: str
    scale: Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Everything a plot shows."""

    title: str
    description: str
    """For who cannot see it: what is to be seen."""
    x: Axis
    y: Axis
    dots: tuple[Dot, ...]
    """Names find their places in this order."""
    steps: tuple[tuple[float, float], ...] = ()
    """Corners of a line, in the order in which it is drawn; runs straight or upright."""
    band: float | None = None
    """Draws the line on which x and y agree and, around it, y within this share of x. Both
    scales must be logarithmic, or the band is drawn where linear scales have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A plot, and the dots whose names found no room in it."""

    svg: str
    unnamed: tuple[str, ...]


WIDTH_PX, HEIGHT_PX = 480, 356
_LEFT, _TOP, _RIGHT, _BOTTOM = 66, 10, 12, 46
_ACROSS, _DOWN = WIDTH_PX - _LEFT - _RIGHT, HEIGHT_PX - _TOP - _BOTTOM
_RADIUS_PX = {"front": 5.0, "untold": 4.5, "dominated": 3.5, "refused": 4.0, "published": 4.5}
_FRAME = Box(left=_LEFT + 2, top=_TOP + 1, right=WIDTH_PX - 2, bottom=_TOP + _DOWN - 2)
_NUM_BAND_POINTS = 24


def draw_scatter(plot: Scatter) -> Drawn:
    """Draw a plot as an <svg> element.

    Its colours are the page's; `pages.plot_style` holds what a page must say of its classes.
    """
    names, unnamed = _names(plot)
    parts = [
        f"<title>{escape(plot.title)}</title>",
        f"<desc>{escape(plot.description)}</desc>",
        *_axes(plot),
        *_band(plot),
        *_steps(plot),
        *(_bars(plot, dot) for dot in plot.dots),
        # Those that matter most lie on top.
        *(_mark(plot, dot) for dot in reversed(plot.dots)),
        *names,
    ]
    label = quoteattr(f"{plot.title}. {plot.description}")
    svg = (
        f'<svg class="plot" role="img" aria-label={label} viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" '
        f'width="{WIDTH_PX}" height="{HEIGHT_PX}">{"".join(parts)}</svg>'
    )
    return Drawn(svg=svg, unnamed=tuple(unnamed))


def _x(plot: Scatter, value: float) -> float:
    return round(_LEFT + _ACROSS * plot.x.scale.share(value), 2)


def _y(plot: Scatter, value: float) -> float:
    return round(_TOP + _DOWN * (1 - plot.y.scale.share(value)), 2)


def _axes(plot: Scatter) -> Iterator[str]:
    bottom, right = _TOP + _DOWN, _LEFT + _ACROSS
    for tick in plot.x.scale.ticks():
        x = _x(plot, tick)
        yield f'<line class="grid" x1="{x:g}" x2="{x:g}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<text x="{x:g}" y="{bottom + 16}" text-anchor="middle">{tick_text(tick)}</text>'
    for tick in plot.y.scale.ticks():
        y = _y(plot, tick)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:g}" y2="{y:g}"/>'
        yield f'<text x="{_LEFT - 7}" y="{y + 4:g}" text-anchor="end">{tick_text(tick)}</text>'
    yield f'<line class="edge" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
    yield f'<line class="edge" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{bottom}"/>'
    yield (
        f'<text class="name" x="{_LEFT + _ACROSS / 2:g}" y="{HEIGHT_PX - 9}" '
        f'text-anchor="middle">{escape(plot.x.title)}</text>'
    )
    yield (
        f'<text class="name" x="{-(_TOP + _DOWN / 2):g}" y="13" transform="rotate(-90)" '
        f'text-anchor="middle">{escape(plot.y.title)}</text>'
    )


def _band(plot: Scatter) -> Iterator[str]:
    if plot.band is None:
        return
    scale = plot.x.scale
    low, high = max(scale.low, plot.y.scale.low), min(scale.high, plot.y.scale.high)
    share = [place / _NUM_BAND_POINTS for place in range(_NUM_BAND_POINTS + 1)]
    values = [
        low * (high / low) ** one if scale.is_log else low + one * (high - low) for one in share
    ]
    above = [(value, value * (1 + plot.band)) for value in values]
    below = [(value, value * (1 - plot.band)) for value in reversed(values)]
    yield f'<polygon class="band" points="{_points(plot, [*above, *below])}"/>'
    ends = _points(plot, [(low, low), (high, high)])
    yield f'<polyline class="agree" points="{ends}"/>'


def _steps(plot: Scatter) -> Iterator[str]:
    if len(plot.steps) > 1:
        yield f'<polyline class="steps" points="{_points(plot, plot.steps)}"/>'


def _points(plot: Scatter, places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_x(plot, x):g},{_y(plot, y):g}" for x, y in places)


def _ends(plot: Scatter, dot: Dot) -> Iterator[tuple[float, float, float, float]]:
    """Both ends of each error bar, in pixels: x1, x2, y1, y2."""
    x, y = _x(plot, dot.x), _y(plot, dot.y)
    if dot.x_interval:
        low, high = dot.x_interval
        yield _x(plot, low), _x(plot, high), y, y
    if dot.y_interval:
        low, high = dot.y_interval
        yield x, x, _y(plot, high), _y(plot, low)


def _bars(plot: Scatter, dot: Dot) -> str:
    lines = "".join(
        f'<line x1="{x1:g}" x2="{x2:g}" y1="{y1:g}" y2="{y2:g}"/>'
        for x1, x2, y1, y2 in _ends(plot, dot)
        if (x1, y1) != (x2, y2)
    )
    return f'<g class="bars {dot.look}">{lines}</g>' if lines else ""


def _mark(plot: Scatter, dot: Dot) -> str:
    x, y, radius = _x(plot, dot.x), _y(plot, dot.y), _RADIUS_PX[dot.look]
    if dot.look == "refused":
        left, right, top, bottom = x - radius, x + radius, y - radius, y + radius
        return (
            f'<path class="dot refused" d="M{left:g} {top:g}L{right:g} {bottom:g}'
            f'M{left:g} {bottom:g}L{right:g} {top:g}"/>'
        )
    return f'<circle class="dot {dot.look}" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>'


def _names(plot: Scatter) -> tuple[list[str], list[str]]:
    named = [dot for dot in plot.dots if dot.label]
    anchors = [
        Anchor(x=_x(plot, dot.x), y=_y(plot, dot.y), width=_name_width(dot)) for dot in named
    ]
    boxes = place_labels(
        anchors,
        frame=_FRAME,
        dots=[_around(plot, dot) for dot in plot.dots],
        lines=[*_thin_boxes(plot), *_step_boxes(plot)],
    )
    texts, unnamed = [], []
    for dot, anchor, box in zip(named, anchors, boxes, strict=True):
        if box is None:
            unnamed.append(dot.label)
        else:
            texts.append(_name(dot, anchor, box))
    return texts, unnamed


def _name_width(dot: Dot) -> float:
    return len(dot.label) * (STRONG_CHARACTER_PX if dot.look == "front" else CHARACTER_PX)


def _around(plot: Scatter, dot: Dot) -> Box:
    x, y, room = _x(plot, dot.x), _y(plot, dot.y), _RADIUS_PX[dot.look] + 1
    return Box(left=x - room, top=y - room, right=x + room, bottom=y + room)


def _thin_boxes(plot: Scatter) -> Iterable[Box]:
    for dot in plot.dots:
        for x1, x2, y1, y2 in _ends(plot, dot):
            yield Box(left=x1 - 0.5, right=x2 + 0.5, top=y1 - 0.5, bottom=y2 + 0.5)


def _step_boxes(plot: Scatter) -> Iterable[Box]:
    corners = [(_x(plot, x), _y(plot, y)) for x, y in plot.steps]
    for (x1, y1), (x2, y2) in pairwise(corners):
        yield Box(left=min(x1, x2), right=max(x1, x2), top=min(y1, y2), bottom=max(y1, y2))


def _name(dot: Dot, anchor: Anchor, box: Box) -> str:
    x, y = leader_end(anchor, box)
    leader = ""
    if math.hypot(x - anchor.x, y - anchor.y) > LEADER_FROM_PX:
        leader = (
            f'<line class="leader" x1="{anchor.x:g}" y1="{anchor.y:g}" x2="{x:.2f}" y2="{y:.2f}"/>'
        )
    # A name that stands left of its dot ends there, whatever width its font gives it.
    side = (box.left >= anchor.x) - (box.right <= anchor.x)
    place = {1: box.left + 1.5, 0: (box.left + box.right) / 2, -1: box.right - 1.5}[side]
    align = {1: "start", 0: "middle", -1: "end"}[side]
    return (
        f'{leader}<text class="label {dot.look}" x="{place:.2f}" y="{box.bottom - 3.5:.2f}" '
        f'text-anchor="{align}">{escape(dot.label)}</text>'
    )
