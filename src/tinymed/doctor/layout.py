"""Lines of a page of text: a label, and beside it what is told."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

WIDTH = 100
LABEL = 20
NOT_TOLD = "not told"


def labelled(label: str, text: str, *, hanging: int = 0) -> list[str]:
    """What is told beside a label, wrapped under itself; `hanging` more from the second line."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"  {label:<{LABEL}}",
        subsequent_indent=" " * (2 + LABEL + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )


def wrapped(text: str) -> list[str]:
    """A sentence without a label."""
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def table(rows: Sequence[Sequence[str]], *, figures: Sequence[int]) -> Iterator[str]:
    """Columns as wide as their widest cell: those in `figures` to the right, others to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            f"{cell:>{width}}" if place in figures else f"{cell:<{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield ("  " + "  ".join(cells)).rstrip()


def gib(num_bytes: int | None) -> str:
    """GiB (2**30 bytes) with one digit behind the point.

    >>> gib(3 * 2**29), gib(None)
    ('1.5 GiB', 'not told')
    """
    return NOT_TOLD if num_bytes is None else f"{num_bytes / 2**30:.1f} GiB"
