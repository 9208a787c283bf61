"""What the vision encoder reads: a square, in proportion, centred on black."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tinymed.images.medical_image import MedicalImage
from tinymed.images.prepare import Preprocessing, Resampling, prepare

FILTERS = get_args(Resampling)

PLAIN = Preprocessing(size_px=32, mean=(0, 0, 0), std=(1, 1, 1))


def white(height: int, width: int) -> MedicalImage:
    """Give a white picture."""
    return MedicalImage(pixels=np.full((height, width, 3), 255, np.uint8), source="png")


def lit_box(values: npt.NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Give the first and one past the last lit row, then column."""
    rows, columns = np.nonzero(values.max(axis=0) > 0.5)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


@given(height=st.integers(16, 300), width=st.integers(16, 300))
@settings(max_examples=50, deadline=None)
def test_any_picture_becomes_a_square_of_floats(height: int, width: int) -> None:
    values = prepare(white(height, width), PLAIN)
    assert values.shape == (3, 32, 32)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous


@given(height=st.integers(16, 300), width=st.integers(16, 300))
@settings(max_examples=50, deadline=None)
def test_the_proportions_are_kept(height: int, width: int) -> None:
    top, bottom, left, right = lit_box(prepare(white(height, width), PLAIN))
    scale = 32 / max(height, width)
    assert abs((bottom - top) - height * scale) <= 1
    assert abs((right - left) - width * scale) <= 1


@given(height=st.integers(16, 300), width=st.integers(16, 300))
@settings(max_examples=50, deadline=None)
def test_the_picture_stands_in_the_middle_of_black(height: int, width: int) -> None:
    values = prepare(white(height, width), PLAIN)
    top, bottom, left, right = lit_box(values)
    assert 0 <= (32 - bottom) - top <= 1
    assert 0 <= (32 - right) - left <= 1
    outside = values.copy()
    outside[:, top:bottom, left:right] = 0
    assert not outside.any()


def test_black_and_white_map_to_the_encoders_own_scale() -> None:
    values = prepare(white(10, 20), Preprocessing(size_px=20, mean=(0.5,) * 3, std=(0.25,) * 3))
    assert (values.min(), values.max()) == (-2, 2)


def shades(height: int, width: int) -> MedicalImage:
    """Give a picture whose red grows to the right and green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return MedicalImage(pixels=pixels, source="png")


def test_stretching_fills_the_square_and_changes_the_proportions() -> None:
    values = prepare(white(20, 60), replace(PLAIN, fit="stretch"))
    assert values.min() == 1


def test_cropping_keeps_the_middle_of_the_longer_side() -> None:
    values = prepare(shades(32, 96), replace(PLAIN, fit="crop"))
    red = values[0, 16]
    assert abs(red[0] - 1 / 3) < 0.02
    assert abs(red[-1] - 2 / 3) < 0.02


def test_padding_first_gives_llavas_picture() -> None:
    settings_ = replace(PLAIN, fit="pad-first", fill=(10, 20, 30))
    picture = shades(40, 64)
    square = Image.new("RGB", (64, 64), (10, 20, 30))
    square.paste(Image.fromarray(picture.pixels), (0, 12))
    expected = np.asarray(square.resize((32, 32), Image.Resampling.BICUBIC), np.float32) / 255
    np.testing.assert_allclose(prepare(picture, settings_), expected.transpose(2, 0, 1), atol=1e-6)


def test_the_resampling_is_the_one_that_was_named() -> None:
    pictures = [prepare(shades(90, 70), replace(PLAIN, resampling=name)) for name in FILTERS]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(pictures, 2))


@pytest.mark.parametrize("row", [{"fit": "squash"}, {"resampling": "nearest"}, {"size": 3}])
def test_an_unknown_setting_is_refused(row: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Preprocessing.from_row(row)


def test_settings_read_back_as_written() -> None:
    settings_ = replace(PLAIN, fit="pad-first", fill=(1, 2, 3), resampling="lanczos")
    assert Preprocessing.from_row(json.loads(json.dumps(asdict(settings_)))) == settings_
