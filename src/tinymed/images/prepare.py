"""From an image to what a vision encoder reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinymed.images.medical_image import MedicalImage

Fit = Literal["pad", "pad-first", "crop", "stretch"]
Resampling = Literal["bicubic", "bilinear", "lanczos"]

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a vision encoder wants its images; part of a model's manifest."""

    size_px: int = 224
    """Height and width of the square the encoder reads."""
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    fit: Fit = "pad"
    """How an image becomes a square: "pad" resizes, then centres it on `fill`; "pad-first"
    does it the other way round, as LLaVA does; "crop" resizes its shorter side and keeps the
    centre, as CLIP does; "stretch" changes its proportions, as SigLIP does."""
    fill: tuple[int, int, int] = (0, 0, 0)
    """Colour of the padding, 0 to 255."""
    resampling: Resampling = "bicubic"

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Preprocessing:
        """Read back what `dataclasses.asdict` wrote.

        Raises:
            ValueError, TypeError: If a field does not fit.
        """
        values = dict(row)
        for name in ("mean", "std", "fill"):
            if name in row:
                values[name] = tuple(row[name])
        made = cls(**values)
        if made.fit not in get_args(Fit) or made.resampling not in get_args(Resampling):
            raise ValueError(f"unknown fit {made.fit!r} or resampling {made.resampling!r}")
        return made


def prepare(image: MedicalImage, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """Fit an image into the encoder's square and normalize it.

    Padding keeps the proportions: a heart's width against the chest's is a finding.

    Returns:
        Shape (3, size_px, size_px), float32.
    """
    square = _square(Image.fromarray(image.pixels).convert("RGB"), preprocessing)
    values = np.asarray(square, dtype=np.float32) / 255
    mean = np.asarray(preprocessing.mean, dtype=np.float32)
    std = np.asarray(preprocessing.std, dtype=np.float32)
    values = (values - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _square(picture: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    size, whole = preprocessing.size_px, (preprocessing.size_px,) * 2
    filter_ = Image.Resampling[preprocessing.resampling.upper()]
    longer, shorter = max(picture.size), min(picture.size)
    if preprocessing.fit == "stretch":
        return picture.resize(whole, filter_)
    if preprocessing.fit == "pad-first":
        return _centred(picture, longer, preprocessing.fill).resize(whole, filter_)
    if preprocessing.fit == "pad":
        return _centred(_scaled(picture, size, longer, filter_), size, preprocessing.fill)
    resized = _scaled(picture, size, shorter, filter_)
    left, top = ((length - size) // 2 for length in resized.size)
    return resized.crop((left, top, left + size, top + size))


def _scaled(picture: Image.Image, size: int, side: int, filter_: Image.Resampling) -> Image.Image:
    """Resize so that a side of length `side` has length `size`."""
    width, height = (max(1, round(length * (size / side))) for length in picture.size)
    return picture.resize((width, height), filter_)


def _centred(picture: Image.Image, size: int, fill: tuple[int, int, int]) -> Image.Image:
    square = Image.new("RGB", (size, size), fill)
    left, top = ((size - length) // 2 for length in picture.size)
    square.paste(picture, (left, top))
    return square
