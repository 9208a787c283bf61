"""Names beside the dots of a plot, so that none lies over another or over a dot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CHARACTER_PX, STRONG_CHARACTER_PX = 6.7, 7.6
"""Room for one character of a label, plain and strong: what wide fonts of its size take."""
LINE_PX = 13.0
_REACHES_PX = (9.0, 16.0, 26.0, 38.0, 52.0, 70.0, 92.0, 118.0)
# Right and left first: a name is read from its dot.
_DIRECTIONS = (0, 180, 30, -30, 150, -150, 60, -60, 120, -120, 90, -90)
_COST_OF_CROSSING = 14.0
_GAP_PX = 1.5
LEADER_FROM_PX = 13.0
"""A name farther from its dot has a line to it."""
_LEADER_PIECES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share any room."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether the other lies wholly inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A dot that wants its name beside it."""

    x: float
    y: float
    width: float
    """Of its name."""


def place_labels(
    anchors: Sequence[Anchor], *, frame: Box, dots: Sequence[Box], lines: Sequence[Box]
) -> list[Box | None]:
    """Find each name a place near its dot.

    The first anchors choose first. A name never lies over another name or a dot, nor outside
    the frame; over lines only where every place nearby has one.

    Args:
        anchors: In the order in which they matter.
        frame: What names must stay in.
        dots: What may not be covered.
        lines: What should not be covered: error bars, as thin boxes.

    Returns:
        A box for each anchor; None where there is no room for its name.
    """
    placed: list[Box] = []
    leaders: list[Box] = []
    found: list[Box | None] = []
    for anchor in anchors:
        best: tuple[float, Box] | None = None
        for cost, box in _places(anchor):
            if best and cost >= best[0]:
                continue
            if not frame.holds(box) or any(map(box.overlaps, (*placed, *dots))):
                continue
            crossed = sum(map(box.overlaps, (*lines, *leaders)))
            hit = sum(any(map(one.overlaps, leader(anchor, box))) for one in (*placed, *dots))
            # The leader starts on its own dot.
            whole = cost + _COST_OF_CROSSING * (crossed + 2 * max(0, hit - 1))
            if best is None or whole < best[0]:
                best = (whole, box)
        found.append(best and best[1])
        if best:
            placed.append(best[1])
            leaders += leader(anchor, best[1])
    return found


def _places(anchor: Anchor) -> Iterator[tuple[float, Box]]:
    half_width = anchor.width / 2 + _GAP_PX
    half_height = LINE_PX / 2
    for reach in _REACHES_PX:
        for rank, degrees in enumerate(_DIRECTIONS):
            across, down = math.cos(math.radians(degrees)), -math.sin(math.radians(degrees))
            x = anchor.x + across * reach + half_width * _sign(across)
            y = anchor.y + down * reach + half_height * _sign(down) * abs(down)
            yield (
                reach + 0.4 * rank,
                Box(
                    left=x - half_width,
                    top=y - half_height,
                    right=x + half_width,
                    bottom=y + half_height,
                ),
            )


def _sign(value: float) -> int:
    # cos(90°) is not quite 0 in floating point.
    return 0 if abs(value) < 1e-9 else (1 if value > 0 else -1)  # noqa: PLR2004


def leader(anchor: Anchor, box: Box) -> list[Box]:
    """The line from a dot to its name, as small boxes along it; none where they are close."""
    x, y = leader_end(anchor, box)
    length = math.hypot(x - anchor.x, y - anchor.y)
    if length <= LEADER_FROM_PX:
        return []
    shares = [place / _LEADER_PIECES for place in range(_LEADER_PIECES + 1)]
    places = [(anchor.x + one * (x - anchor.x), anchor.y + one * (y - anchor.y)) for one in shares]
    return [Box(left=x - 1, top=y - 1, right=x + 1, bottom=y + 1) for x, y in places]


def leader_end(anchor: Anchor, box: Box) -> tuple[float, float]:
    """The point of a label's edge that lies nearest to its dot."""
    return (
        min(max(anchor.x, box.left), box.right),
        min(max(anchor.y, box.top + 3), box.bottom - 3),
    )
