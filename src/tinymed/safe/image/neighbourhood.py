"""Means over the neighbourhood of every pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def neighbourhood_mean(values: Floats, radius_px: int) -> Floats:
    """The mean of the square of `2 * radius_px + 1` pixels around each pixel.

    The image goes on beyond its border as it is at the border.

    Shapes:
        values, and what comes back: (height, width).

    Example:
        >>> neighbourhood_mean(np.array([[0, 0, 3]], np.float32), 1).tolist()
        [[0.0, 1.0, 2.0]]
    """
    side = 2 * radius_px + 1
    padded = np.pad(values.astype(np.float64), radius_px, mode="edge")
    sums = np.pad(padded, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    total = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    mean: Floats = (total / side**2).astype(np.float32)
    return mean
