"""Bars of several pieces, one a row: what a whole is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from tinymed.pages.scales import Scale, tick_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A whole and its pieces, in the unit of the axis."""

    label: str
    pieces: tuple[float, ...]
    """One for each of the plot's names, 0 where there is none."""
    total: str
    """What stands behind its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPlot:
    """Bars under each other."""

    title: str
    description: str
    """For who cannot see it."""
    axis: str
    """What is counted, with its unit."""
    names: tuple[str, ...]
    """Of the pieces, at most `MOST_PIECES`."""
    bars: tuple[Bar, ...]


MOST_PIECES = 6
_ROW_PX, _BAR_PX, _TEXT_PX = 40, 15, 14
_KEY_COLUMNS, _KEY_ROW_PX = 3, 19
_AXIS_PX = 38
_ROOM = 1.04
STANDALONE_WIDTH_PX = 640


def draw_bars(plot: BarPlot) -> str:
    """Draw bars as an <svg> element as wide as its place.

    Everything across is in percent, so that text keeps its size on a narrow screen.

    Raises:
        ValueError: If there is no bar that is longer than 0, or more kinds of pieces than there
            are colours.
    """
    if len(plot.names) > MOST_PIECES:
        raise ValueError(f"{len(plot.names)} kinds of pieces; there are {MOST_PIECES} colours")
    longest = max(sum(bar.pieces) for bar in plot.bars)
    if longest <= 0:
        raise ValueError("no bar is longer than 0")
    scale = Scale(low=0.0, high=_ROOM * longest)
    key_px = _KEY_ROW_PX * -(-len(plot.names) // _KEY_COLUMNS) + 4
    bottom = key_px + _ROW_PX * len(plot.bars)
    parts = [
        f"<title>{escape(plot.title)}</title>",
        f"<desc>{escape(plot.description)}</desc>",
        *_key(plot.names),
        *_axis(plot.axis, scale, top=key_px, bottom=bottom),
    ]
    for row, bar in enumerate(plot.bars):
        parts += _bar(bar, scale, top=key_px + row * _ROW_PX)
    label = quoteattr(f"{plot.title}. {plot.description}")
    return (
        f'<svg class="bars-plot" role="img" aria-label={label} width="100%" '
        f'height="{bottom + _AXIS_PX}">{"".join(parts)}</svg>'
    )


def _key(names: Sequence[str]) -> Iterator[str]:
    for place, name in enumerate(names):
        x, y = 100 * (place % _KEY_COLUMNS) / _KEY_COLUMNS, _KEY_ROW_PX * (place // _KEY_COLUMNS)
        yield (
            f'<svg x="{x:.2f}%" y="{y}" width="12" height="12" overflow="visible">'
            f'<rect class="piece-{place + 1}" width="11" height="11" y="1"/>'
            f'<text class="name" x="16" y="11">{escape(name)}</text></svg>'
        )


def _axis(title: str, scale: Scale, *, top: int, bottom: int) -> Iterator[str]:
    for tick in scale.ticks():
        x = f"{100 * scale.share(tick):.2f}%"
        kind = "edge" if tick == 0 else "grid"
        anchor = "start" if tick == 0 else "middle"
        yield f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'
        yield f'<text x="{x}" y="{bottom + 14}" text-anchor="{anchor}">{tick_text(tick)}</text>'
    yield f'<text class="name" x="0" y="{bottom + 32}">{escape(title)}</text>'


def _bar(bar: Bar, scale: Scale, *, top: int) -> Iterator[str]:
    y = top + _TEXT_PX
    yield (
        f'<text class="label" x="0" y="{y - 1}"><tspan class="name">{escape(bar.label)}</tspan>'
        f'<tspan dx="8">{escape(bar.total)}</tspan></text>'
    )
    start = 0.0
    for number, piece in enumerate(bar.pieces, start=1):
        if piece > 0:
            left, width = 100 * scale.share(start), 100 * scale.share(piece)
            yield (
                f'<rect class="piece-{number}" x="{left:.3f}%" width="{width:.3f}%" '
                f'y="{y + 4}" height="{_BAR_PX}"/>'
            )
        start += piece
