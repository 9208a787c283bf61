"""From an image to what a vision encoder reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinymed.images.medical_image import MedicalImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a vision encoder wants its images; part of a model's manifest."""

    size_px: int = 224
    """Height and width of the square the encoder reads."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


def prepare(image: MedicalImage, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """Fit an image into the encoder's square, centred on black, and normalize it.

    The proportions are kept: a heart's width against the chest's is a finding.

    Returns:
        Shape (3, size_px, size_px), float32.
    """
    size = preprocessing.size_px
    height, width = image.pixels.shape[:2]
    scale = size / max(height, width)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = Image.fromarray(image.pixels).resize(fitted, Image.Resampling.BICUBIC)
    square = Image.new("RGB", (size, size))
    square.paste(resized, ((size - fitted[0]) // 2, (size - fitted[1]) // 2))
    values = np.asarray(square, dtype=np.float32) / 255
    mean = np.asarray(preprocessing.mean, dtype=np.float32)
    std = np.asarray(preprocessing.std, dtype=np.float32)
    values = (values - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1))
