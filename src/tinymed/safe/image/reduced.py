"""A small copy of an image: what the gates measure on, quickly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE_PX = 256
"""Longest side of the copy: about what the model itself reads. What cannot be seen here, such as
a blur of one pixel in two megapixels, the model does not see either."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """An image and its small copy."""

    whole: Pixels
    """Shape (height, width, 3)."""
    colour: Pixels
    """Shape (rows, columns, 3); the longer of both at most `SIDE_PX`."""
    grey: Floats
    """Shape (rows, columns), 0 to 255."""


def reduced(pixels: Pixels) -> Reduced:
    """Reduce an image; one that is small already stays as it is.

    Args:
        pixels: Shape (height, width, 3).
    """
    picture = Image.fromarray(pixels)
    longest = max(picture.size)
    if longest > SIDE_PX:
        width, height = (max(1, round(side * SIDE_PX / longest)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    colour = np.asarray(picture)
    grey: Floats = colour.astype(np.float32) @ _LUMA
    return Reduced(whole=pixels, colour=colour, grey=grey)
