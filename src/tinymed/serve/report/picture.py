"""The picture on a report: small, grey or coloured, and with nothing of its file but pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

_MAX_PX = 1200


def small_picture(picture: bytes | np.ndarray) -> Image.Image:
    """A picture of at most 1,200 pixels a side.

    Args:
        picture: A PNG or JPEG file, or 8-bit pixels [height, width] or [height, width, 3].
    """
    if isinstance(picture, bytes):
        with Image.open(io.BytesIO(picture), formats=("PNG", "JPEG")) as opened:
            image = opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGB")
    else:
        image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((_MAX_PX, _MAX_PX))
    return Image.fromarray(np.asarray(image))  # its pixels alone
