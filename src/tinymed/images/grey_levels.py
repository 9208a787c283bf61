"""From more than eight bits of grey to eight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5


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
