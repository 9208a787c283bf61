"""Small changes to training images."""

from __future__ import annotations

import numpy as np

from tinymed.images.medical_image import MedicalImage
from tinymed.train.augment import augmented
from tinymed.train.config import AugmentConfig


def _image() -> MedicalImage:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :30] = 200  # bright on the left
    return MedicalImage(pixels=pixels, source="png")


def test_the_same_seed_gives_the_same_variant_and_another_another() -> None:
    one, two, other = (augmented(_image(), AugmentConfig(), seed=(7, s)).pixels for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_left_stays_left() -> None:
    for seed in range(50):
        pixels = augmented(_image(), AugmentConfig(), seed=(seed,)).pixels
        assert pixels[10:-10, 10:25].mean() > pixels[10:-10, 45:].mean() + 50


def test_without_any_strength_nothing_changes() -> None:
    none = AugmentConfig(max_rotation_degrees=0, max_shift=0, max_zoom=0, max_brightness=0)
    np.testing.assert_array_equal(augmented(_image(), none, seed=(1,)).pixels, _image().pixels)


def test_shape_and_kind_stay() -> None:
    result = augmented(_image(), AugmentConfig(), seed=(3,))
    assert (result.pixels.shape, result.pixels.dtype) == ((60, 80, 3), np.uint8)
    assert result.notes[-1] == "augmented"
