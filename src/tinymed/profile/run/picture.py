"""A drawn picture to measure with, where no radiograph is at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

DRAWN = "drawn-test-picture.png"
WIDTH_PX, HEIGHT_PX = 1600, 1250


def draw_picture(folder: Path) -> Path:
    """Write a picture of 2 megapixels, the same bytes each time: rings, bands and grain.

    As detailed as a radiograph, so that decoding it takes about as long.
    """
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(np.float32)
    rings = np.sin(np.hypot(rows - HEIGHT_PX / 2, columns - WIDTH_PX / 2) / 40)
    grain = np.random.default_rng(0).normal(0, 4, rings.shape)
    grey = np.clip(120 + 60 * rings + 40 * np.sin(rows / 90) + grain, 0, 255).astype(np.uint8)
    path = folder / DRAWN
    Image.fromarray(grey).save(path)
    return path
