"""What points are called on a page: short where that is clear, with what must be known of them."""

from __future__ import annotations

from collections.abc import Iterable

from tinymed.pages.document import Cell
from tinymed.profile.pareto.join import REFUSED
from tinymed.profile.pareto.weigh import REFUSED_WORDS
from tinymed.profile.point import Point

BUSY_WORDS = "busy machine"
RANDOM_WORDS = "random weights"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Names without the model where all are of one.

    >>> short_names(["nano:native-int8", "nano:nf4"])
    {'nano:native-int8': 'native-int8', 'nano:nf4': 'nf4'}
    >>> short_names(["nano:nf4", "tiny:nf4"])
    {'nano:nf4': 'nano:nf4', 'tiny:nf4': 'tiny:nf4'}
    """
    given = list(names)
    models = {name.partition(":")[0] for name in given}
    if len(models) > 1 or not all(name.partition(":")[2] for name in given):
        return {name: name for name in given}
    return {name: name.partition(":")[2] for name in given}


def marks(point: Point) -> list[str]:
    """What must be read with every figure of a point."""
    found = []
    if point.is_random:
        found.append(RANDOM_WORDS)
    if point.parity == REFUSED:
        found.append(REFUSED_WORDS)
    if point.conditions.is_busy:
        found.append(BUSY_WORDS)
    return found


def name_cell(name: str, point: Point) -> Cell:
    """A point's name, and its marks below it."""
    return Cell(text=name, detail=", ".join(marks(point)))
