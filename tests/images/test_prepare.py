"""What the vision encoder reads: a square, in proportion, centred on black."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.images.medical_image import MedicalImage
from tinymed.images.prepare import Preprocessing, prepare

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
