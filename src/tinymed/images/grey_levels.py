"""From more than eight bits of grey to eight, and to what a viewer windows itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.images.received import GreyLevels

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5

_BLOCK_PIXELS = 2**18
_LEVEL_TYPES = (np.uint8, np.uint16, np.int16)


def percentile_range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Find the range that shows all but the darkest and the brightest half percent.

    Percentiles, since a lead marker or one dead pixel would otherwise squeeze the anatomy
    into a few levels. Where they fall together (two-level pictures, mostly background) the
    full range.
    """
    low, high = np.percentile(values, (LOW_PERCENTILE, HIGH_PERCENTILE))
    if low == high:
        low, high = values.min(), values.max()
    return float(low), float(high)


def to_eight_bit(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Map `low` to 0 and `high` to 255, what lies between linearly, what lies outside to the ends.

    An empty range (`low` equal to `high`) gives black.
    """
    scale = 255 / (high - low) if high > low else 0.0
    shown = (values.astype(np.float64) - low) * scale
    rounded: npt.NDArray[np.uint8] = np.rint(shown.clip(0, 255)).astype(np.uint8)
    return rounded


def spread(table: npt.NDArray[Any], picture: npt.NDArray[Any], first: int) -> npt.NDArray[Any]:
    """Give each pixel its level's entry; `first` is the level that the first entry is for."""
    flat, found = picture.reshape(-1), np.empty(picture.size, dtype=table.dtype)
    # By blocks, since numpy takes eight bytes a pixel for the positions.
    for start in range(0, flat.size, _BLOCK_PIXELS):
        block = slice(start, start + _BLOCK_PIXELS)
        positions = flat[block].astype(np.int64) - first
        np.take(table, positions, out=found[block], mode="clip")  # "raise" copies once more
    return found.reshape(picture.shape)


def linear_window(low: float, high: float) -> tuple[float, float]:
    """Give the center and width of the window that shows `low` black and `high` white.

    By the linear function of PS3.3 C.11.2.1.2.1, whose width of 1 is a threshold.

    >>> linear_window(0, 255)
    (128.0, 256)
    """
    return (low + high) / 2 + 0.5, high - low + 1


def narrowed(values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """Give whole numbers as the first of uint8, uint16 and int16 that holds them all.

    None where they are not whole or none of these does.
    """
    low, high = float(values.min()), float(values.max())
    for kind in _LEVEL_TYPES:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            levels = values.astype(kind)
            is_whole = np.issubdtype(values.dtype, np.integer) or bool((levels == values).all())
            return levels if is_whole else None
    return None


def viewer_levels(values: npt.NDArray[Any], low: float, high: float) -> GreyLevels | None:
    """Give grey values to a viewer, with the window from `low` to `high`.

    None where they need more than 16 bits.
    """
    levels = narrowed(values)
    if levels is None:
        return None
    center, width = linear_window(low, high)
    return GreyLevels(values=levels, center=center, width=width, is_inverted=False)
