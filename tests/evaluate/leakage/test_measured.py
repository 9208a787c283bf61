"""The figures that the docstrings of the thresholds state, on fewer of the same images."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tinymed.evaluate.leakage.fingerprint import Fingerprint, fingerprint, picture_of
from tinymed.evaluate.leakage.matches import TrainImages
from tinymed.images.intake import read_image
from tinymed.images.medical_image import MedicalImage

DATA = Path(os.environ.get("TINYMED_DATA", Path(__file__).parents[4] / "shared" / "data"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="needs the public data sets in the folder TINYMED_DATA"
    ),
]
EVERY = 10


def images(pattern: str) -> list[Path]:
    return sorted(DATA.glob(pattern))[::EVERY]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)))


def cropped(image: Image.Image, left: float, rest: float = 0.0) -> Image.Image:
    width, height = image.size
    box = width * left, height * rest, width * (1 - rest), height * (1 - rest)
    return image.crop(tuple(map(round, box)))  # type: ignore[arg-type]


CHANGES: dict[str, tuple[float, Callable[[Image.Image], Image.Image]]] = {
    "jpeg 30": (1.0, lambda image: jpeg(image, 30)),
    "half size": (1.0, lambda image: scaled(image, 0.5)),
    "double size": (1.0, lambda image: scaled(image, 2)),
    "square": (1.0, lambda image: image.resize((224, 224))),
    "grey": (1.0, lambda image: image.convert("L").convert("RGB")),
    "darker": (1.0, lambda image: ImageEnhance.Brightness(image).enhance(0.7)),
    "brighter": (0.98, lambda image: ImageEnhance.Brightness(image).enhance(1.3)),
    "less contrast": (1.0, lambda image: ImageEnhance.Contrast(image).enhance(0.6)),
    "more contrast": (1.0, lambda image: ImageEnhance.Contrast(image).enhance(1.4)),
    "2 % off one side": (0.9, lambda image: cropped(image, 0.02)),
    "1 % off each side": (0.9, lambda image: cropped(image, 0.01, 0.01)),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_changed_images_are_recognised_as_often_as_stated(change: str) -> None:
    share, apply = CHANGES[change]
    paths = [
        *images("vqa-rad/images/*.jpg"),
        *images("rocov2/*/*.jpg"),
        *images("slake/imgs/*/source.jpg"),
    ]
    recognised = []
    for path in paths:
        changed = apply(Image.fromarray(read_image(path).pixels))
        shown = picture_of(MedicalImage(pixels=np.asarray(changed), source="png"))
        original = fingerprint(path)
        assert original is not None
        found = TrainImages([original]).matches(Fingerprint(digest="changed", picture=shown))
        recognised.append(bool(found))
    assert len(recognised) > 150
    assert np.mean(recognised) >= share


@pytest.mark.parametrize("pattern", ["vqa-rad/images/*.jpg", "rocov2/*/*.jpg", "dicom/*.[dpj]*"])
def test_different_images_are_never_taken_for_one(pattern: str) -> None:
    """Two of the DICOM files are one film, once inverted: that is not recognised either."""
    found = [fingerprint(path) for path in sorted(DATA.glob(pattern))]
    present = [one for one in found if one is not None and one.picture is not None]
    assert len(present) > 10
    train = TrainImages(present)
    near = {one.digest: len(train.matches(one)) - 1 for one in present}
    assert sum(near.values()) == 0
