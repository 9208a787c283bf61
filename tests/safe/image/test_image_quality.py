"""Pictures that are blurred, glaring, flat, dark, bright or small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_frames import radiograph
from PIL import Image, ImageFilter

from tinymed.safe.gate import Gates
from tinymed.safe.image.quality import blur, glare, quality_alerts
from tinymed.safe.image.reduced import SIDE_PX, reduced

Pixels = np.ndarray[Any, Any]


def codes(pixels: Pixels) -> list[str]:
    return [alert.code for alert in quality_alerts(reduced(pixels), Gates())]


def test_a_good_picture_raises_nothing() -> None:
    assert codes(radiograph()) == []


def test_a_blurred_picture_is_called_so() -> None:
    picture = Image.fromarray(radiograph()).filter(ImageFilter.GaussianBlur(4))
    assert codes(np.asarray(picture)) == ["blurred"]


def test_dark_and_flat_and_bright_pictures_are_told_apart() -> None:
    levels = radiograph().astype(np.float32)
    assert codes((levels * 0.2).astype(np.uint8)) == ["too-dark"]
    assert codes((128 + (levels - 128) * 0.3).astype(np.uint8)) == ["low-contrast"]
    assert codes(np.clip(levels * 2 + 70, 0, 255).astype(np.uint8)) == ["too-bright"]


def test_a_reflection_is_called_glare() -> None:
    pixels = radiograph().copy()
    rows, columns = np.mgrid[:400, :400]
    pixels[np.hypot(rows - 150, columns - 280) < 45] = 255
    assert codes(pixels) == ["glare"]


def test_a_small_picture_is_called_so() -> None:
    assert codes(radiograph()[:150, :380]) == ["low-resolution"]


def test_a_figure_says_what_was_measured() -> None:
    dark = (radiograph() * 0.2).astype(np.uint8)
    (alert,) = quality_alerts(reduced(dark), Gates(quality="withhold"))
    assert alert.figures["grey_level_99th_percentile"] == pytest.approx(
        float(np.percentile(reduced(dark).grey, 99)), abs=0.01
    )
    assert alert.withholds
    assert not quality_alerts(reduced(dark), Gates())[0].withholds


def test_blur_is_in_order_and_in_its_range() -> None:
    picture = Image.fromarray(radiograph(256))
    measured = [
        blur(reduced(np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)))).grey)
        for radius in (0, 1, 2, 4)
    ]
    assert measured == sorted(measured)
    assert 0 <= measured[0] < measured[-1] <= 1
    assert blur(np.zeros((8, 8), np.float32)) == 0


def test_glare_is_the_largest_white_squares_side() -> None:
    grey = np.zeros((100, 60), np.float32)
    grey[10:25, 5:40] = 255
    assert glare(grey) == pytest.approx(15 / 60)
    assert glare(np.zeros((9, 5), np.float32)) == 0
    assert glare(np.full((9, 5), 255, np.float32)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2), (2, 300)])
def test_pictures_of_any_shape_are_looked_at(shape: tuple[int, int]) -> None:
    small = reduced(np.zeros((*shape, 3), np.uint8))
    assert max(small.grey.shape) <= SIDE_PX
    assert "low-resolution" in [alert.code for alert in quality_alerts(small, Gates())]
