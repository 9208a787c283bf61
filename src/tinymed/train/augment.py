"""Small, label-keeping changes to a training image."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tinymed.images.medical_image import MedicalImage
from tinymed.train.config import AugmentConfig


def augmented(image: MedicalImage, config: AugmentConfig, *, seed: tuple[int, ...]) -> MedicalImage:
    """One variant: turned, shifted, scaled and re-lit a little; never mirrored.

    The same seed gives the same variant.
    """
    rng = np.random.default_rng(seed)
    angle = np.radians(rng.uniform(-1, 1) * config.max_rotation_degrees)
    zoom = 1 + rng.uniform(-1, 1) * config.max_zoom
    height, width = image.pixels.shape[:2]
    shift_x, shift_y = rng.uniform(-1, 1, size=2) * config.max_shift * np.array([width, height])
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    centre_x, centre_y = width / 2, height / 2
    # Pillow wants the map from output to input: turn and scale about the centre, then shift.
    matrix = (
        cos,
        sin,
        centre_x - cos * (centre_x + shift_x) - sin * (centre_y + shift_y),
        -sin,
        cos,
        centre_y + sin * (centre_x + shift_x) - cos * (centre_y + shift_y),
    )
    moved = Image.fromarray(image.pixels).transform(
        (width, height), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )
    contrast, brightness = 1 + rng.uniform(-1, 1, size=2) * config.max_brightness
    values = np.asarray(moved, dtype=np.float32)
    mean = values.mean()
    values = ((values - mean) * contrast + mean) * brightness
    pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return MedicalImage(pixels=pixels, source=image.source, notes=(*image.notes, "augmented"))
