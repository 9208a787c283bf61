"""Frames for the gates that look at images."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tinymed.images.medical_image import MedicalImage
from tinymed.images.received import ImageFacts, ReceivedFrame


def radiograph(side: int = 400) -> np.ndarray[Any, Any]:
    """A made-up chest: soft shapes, sharp ribs, a black field around."""
    picture = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((side * 0.05, side * 0.05, side * 0.95, side * 0.98), fill=150)
    for left in (0.16, 0.55):
        draw.ellipse((side * left, side * 0.2, side * (left + 0.28), side * 0.8), fill=50)
    picture = picture.filter(ImageFilter.GaussianBlur(side / 80))
    draw = ImageDraw.Draw(picture)
    for row in range(8):
        top = side * (0.12 + row * 0.07 + row * row * 0.006)
        draw.arc(
            (side * 0.1, top, side * 0.9, top + side * 0.2),
            190,
            350,
            fill=160 + 12 * row,
            width=2 + row % 3,
        )
    draw.rectangle((side * 0.47, side * 0.05, side * 0.53, side * 0.95), fill=235)
    grain = np.random.default_rng(0).normal(0, 9, (side, side))
    grey = np.clip(np.asarray(picture) + grain * (np.asarray(picture) > 5), 0, 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def frame_of(pixels: np.ndarray[Any, Any], **changes: Any) -> ReceivedFrame:
    """A frame as it was decoded."""
    values: dict[str, Any] = {
        "image": MedicalImage(pixels=pixels, source="png"),
        "levels": None,
        "frame": 0,
        "num_frames": 1,
        "facts": ImageFacts(),
    }
    return ReceivedFrame(**(values | changes))


def written(
    pixels: np.ndarray[Any, Any], text: str, *, at: tuple[int, int], level: int, size: int = 18
) -> np.ndarray[Any, Any]:
    """A copy with a sentence in it."""
    picture = Image.fromarray(pixels)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(picture).text(at, text, fill=(level, level, level), font=font)
    return np.asarray(picture)
