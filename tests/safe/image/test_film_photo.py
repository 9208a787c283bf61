"""Photos of films and screens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_frames import radiograph

from tinymed.images.received import ImageFacts
from tinymed.safe.gate import Alert, Gates
from tinymed.safe.image.film_photo import film_photo_alert, grid, surround, tint
from tinymed.safe.image.reduced import reduced

Pixels = np.ndarray[Any, Any]


def seen(pixels: Pixels, facts: ImageFacts | None = None) -> Alert | None:
    return film_photo_alert(reduced(pixels), facts or ImageFacts(), Gates())


def test_an_image_itself_is_no_photo() -> None:
    assert seen(radiograph()) is None


def test_a_cameras_exif_data_are_enough() -> None:
    alert = seen(radiograph(), ImageFacts(is_from_camera=True))
    assert alert is not None
    assert "names a camera" in alert.detail


def test_a_tint_is_seen_and_a_coloured_arrow_is_none() -> None:
    tinted = (radiograph() * np.array([0.85, 0.95, 1.0])).astype(np.uint8)
    alert = seen(tinted)
    assert alert is not None
    assert "tinted" in alert.detail
    arrow = radiograph().copy()
    arrow[100:120, 50:200] = (255, 0, 0)
    assert tint(reduced(arrow)) == 0
    assert seen(arrow) is None


def test_a_light_box_around_the_film_is_seen_and_a_white_page_is_not() -> None:
    box = np.full((600, 600, 3), 200, np.uint8)
    box[100:500, 100:500] = radiograph()
    alert = seen(box)
    assert alert is not None
    assert "surround" in alert.detail
    page = np.where(box == 200, 255, box).astype(np.uint8)
    assert surround(reduced(page).grey) == 255
    assert seen(page) is None


def test_a_screens_grid_is_seen() -> None:
    rows, columns = np.mgrid[:400, :400]
    lines = 8 * np.sin(2 * np.pi * (0.13 * rows + 0.09 * columns))
    alert = seen(np.clip(radiograph() + lines[..., None], 0, 255).astype(np.uint8))
    assert alert is not None
    assert "grid" in alert.detail
    assert alert.figures["grid"] > 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (127, 900), (130, 128)])
def test_pictures_of_any_shape_are_looked_at(shape: tuple[int, int]) -> None:
    assert seen(np.zeros((*shape, 3), np.uint8)) is None


def test_a_machine_s_image_may_have_a_bright_border_and_grid_lines() -> None:
    box = np.full((600, 600, 3), 200, np.uint8)
    box[100:500, 100:500] = radiograph()
    assert seen(box, ImageFacts(modality="CR")) is None
    assert seen(box, ImageFacts(modality="SC")) is not None
    tinted = (radiograph() * np.array([0.85, 0.95, 1.0])).astype(np.uint8)
    assert seen(tinted, ImageFacts(modality="CR")) is not None


def test_a_small_picture_has_no_grid() -> None:
    assert grid(np.zeros((100, 600, 3), np.uint8)) == 0


def test_the_mode_decides_whether_it_withholds() -> None:
    photo = ImageFacts(is_from_camera=True)
    withheld = film_photo_alert(reduced(radiograph()), photo, Gates(film_photo="withhold"))
    assert withheld is not None
    assert withheld.withholds
