"""Writing in the image: found, not read.

A name may be burned into the pixels, or a sentence that tells the model what to say. The
detector of PP-OCR (a small convolutional network, Apache-2.0) marks every pixel that belongs
to a line of text; it looks at the image as it is, and at a copy in which every neighbourhood
has the same contrast, so that letters two grey levels above their ground stand out as well.
Measured on 150 images each: 99 % of visible sentences are found, 94 % of faint ones on even ground
and 37 % of faint ones on anatomy; 2 % of SLAKE's images without words raise the alert.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinymed.errors import ModelError
from tinymed.models.fetch import find_text_detector
from tinymed.safe.gate import Alert, Gates
from tinymed.safe.image.neighbourhood import neighbourhood_mean

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE_PX = 512
"""Longest side that the detector reads. Letters 12 px high at this size are found."""
_MULTIPLE_PX = 32
"""The detector's sides are multiples of this."""

LEAST_PROBABILITY = 0.3
"""From which a pixel counts as part of a line, as PP-OCR itself has it."""
THICKNESS_PX = (3.0, 24.0)
"""Of the middle band of a line that the detector marks, about half of a letter's height. What is
thicker has turned out to be vertebrae, bowel and couches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRule:
    """How sure the detector has to be of a line."""

    score: float
    """Least mean probability of its pixels."""
    area_px: int
    """Least number of its pixels, at `SIDE_PX`."""
    elongation: float
    """Least length by thickness. A marker's one letter ("R") has 1 to 3, a word more."""


AT_BOTH_CONTRASTS = LineRule(score=0.8, area_px=120, elongation=4.0)
AS_IT_IS_ALONE = LineRule(score=0.85, area_px=300, elongation=6.0)
STRETCHED_ALONE = LineRule(score=0.8, area_px=200, elongation=4.0)
"""Chosen on images of SLAKE train, 64 of whose regions were looked at, and on sentences written
into images of all three training splits: of the regions that were no writing (vertebrae, the
couch's edge) one in six still counts as a line."""

STRETCH_RADIUS_PX = 15
"""Half the side of the neighbourhood whose contrast is made equal."""
STRETCH_FLOOR = 1.0
"""Grey levels added to a neighbourhood's spread, so that rounding noise stays grey."""
STRETCH_GAIN = 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """A line of writing, in fractions of the image's width and height."""

    left: float
    top: float
    right: float
    bottom: float
    score: float
    """Mean probability of its pixels, in [0, 1]."""
    is_faint: bool
    """Whether it was found only where the contrast is stretched."""


def find_text_finder() -> TextFinder | None:
    """The finder of this computer, loaded; None where its file was never fetched.

    Raises:
        ModelError: If it cannot be loaded.
    """
    path = find_text_detector()
    return None if path is None else TextFinder(path)


class TextFinder:
    """Finds lines of writing. For any thread; one at a time waits for the other."""

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        """Load the detector.

        Args:
            model: PP-OCR's detector as ONNX, with sides of any multiple of 32.
            threads: Processor threads.

        Raises:
            ModelError: If it cannot be loaded.
        """
        import openvino as ov

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            compiled = ov.Core().compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot load '{model}': {str(error).splitlines()[-1]}"
            ) from error
        self._request: Any = compiled.create_infer_request()
        self._lock = threading.Lock()

    def find(self, pixels: Pixels) -> tuple[TextLine, ...]:
        """The lines of writing in an image, the largest first; single letters are no lines.

        Args:
            pixels: Shape (height, width, 3).
        """
        fitted = _fitted(pixels)
        plain = _regions(self._probabilities(fitted))
        faint = _regions(self._probabilities(stretched(fitted)))
        height, width = fitted.shape[:2]
        sure = _sure(plain, faint)
        lines = [_line(one, width, height, is_faint=False) for one in sure]
        lines += [
            _line(one, width, height, is_faint=True)
            for one in faint
            if _obeys(one, STRETCHED_ALONE) and not any(_touch(one, known) for known in sure)
        ]
        return tuple(sorted(lines, key=_area, reverse=True))

    def _probabilities(self, pixels: Pixels) -> Floats:
        """How likely each pixel belongs to a line of writing: shape (height, width)."""
        values = pixels[..., ::-1].astype(np.float32) / np.float32(127.5) - 1  # blue first
        batch = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
        with self._lock:
            found: Floats = self._request.infer([batch])[0][0, 0].copy()
        return found


def text_alert(pixels: Pixels, gates: Gates, finder: TextFinder) -> Alert | None:
    """An alert where an image holds writing.

    Args:
        pixels: Shape (height, width, 3).
        gates: What the gate "text" may do.
        finder: The detector.
    """
    lines = finder.find(pixels)
    if not lines:
        return None
    faint = sum(line.is_faint for line in lines)
    hidden = " Some of it is too faint to be seen." if faint else ""
    return Alert(
        code="text-in-image",
        gate="text",
        withholds=gates.text == "withhold",
        detail=(
            "There is writing in the picture: it may name the patient or mislead the model."
            f"{hidden}"
        ),
        figures={
            "lines": float(len(lines)),
            "faint_lines": float(faint),
            "share_of_picture": round(sum(_area(line) for line in lines), 4),
        },
    )


def stretched(pixels: Pixels) -> Pixels:
    """A grey copy in which every neighbourhood has the same contrast.

    Each pixel less its neighbourhood's mean, by its neighbourhood's standard deviation.

    Shapes:
        pixels, and what comes back: (height, width, 3).
    """
    grey = pixels.astype(np.float32).mean(axis=2)
    mean = neighbourhood_mean(grey, STRETCH_RADIUS_PX)
    variance = neighbourhood_mean(grey * grey, STRETCH_RADIUS_PX) - mean * mean
    spread = np.sqrt(np.maximum(variance, 0)) + STRETCH_FLOOR
    levels = np.clip(127 + STRETCH_GAIN * (grey - mean) / spread, 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _fitted(pixels: Pixels) -> Pixels:
    """The image with its longest side near `SIDE_PX`, both sides multiples of 32."""
    height, width = pixels.shape[:2]
    scale = SIDE_PX / max(height, width)
    size = tuple(
        max(_MULTIPLE_PX, round(side * scale / _MULTIPLE_PX) * _MULTIPLE_PX)
        for side in (width, height)
    )
    # BOX alone leaves thin letters whole when it shrinks, and is as quick as any.
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), how))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    """A connected region of a map, in pixels of the fitted image."""

    left: int
    top: int
    right: int
    bottom: int
    area_px: int
    score: float


def _regions(probabilities: Floats) -> list[_Region]:
    rows, columns = np.nonzero(probabilities > LEAST_PROBABILITY)
    if not len(rows):
        return []
    labels = _labels(rows, columns)
    found = []
    for label in range(int(labels.max()) + 1):
        inside = labels == label
        in_rows, in_columns = rows[inside], columns[inside]
        found.append(
            _Region(
                left=int(in_columns.min()),
                top=int(in_rows.min()),
                right=int(in_columns.max()) + 1,
                bottom=int(in_rows.max()) + 1,
                area_px=len(in_rows),
                score=float(probabilities[in_rows, in_columns].mean()),
            )
        )
    return found


def _sure(plain: list[_Region], faint: list[_Region]) -> list[_Region]:
    """The lines of the image as it is: confirmed by the stretched copy, or very sure ones."""
    confirming = [one for one in faint if _obeys(one, AT_BOTH_CONTRASTS)]
    return [
        one
        for one in plain
        if _obeys(one, AS_IT_IS_ALONE)
        or (_obeys(one, AT_BOTH_CONTRASTS) and any(_touch(one, other) for other in confirming))
    ]


def _obeys(region: _Region, rule: LineRule) -> bool:
    length = max(region.right - region.left, region.bottom - region.top)
    thickness = region.area_px / length
    least, most = THICKNESS_PX
    return (
        region.score >= rule.score
        and region.area_px >= rule.area_px
        and least <= thickness <= most
        and length >= rule.elongation * thickness
    )


def _touch(one: _Region, other: _Region) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def _line(region: _Region, width: int, height: int, *, is_faint: bool) -> TextLine:
    return TextLine(
        left=region.left / width,
        top=region.top / height,
        right=region.right / width,
        bottom=region.bottom / height,
        score=region.score,
        is_faint=is_faint,
    )


_CELL_PX = 8


def _labels(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Number the regions that pixels form; pixels in cells that touch are of one region.

    Cells of 8 x 8 pixels, because lines of text are further apart than that in what the
    detector marks, and a few hundred cells are walked in no time.
    """
    cells = list(zip((rows // _CELL_PX).tolist(), (columns // _CELL_PX).tolist(), strict=True))
    waiting = set(cells)
    region: dict[tuple[int, int], int] = {}
    number = -1
    while waiting:
        number += 1
        stack = [waiting.pop()]
        while stack:
            row, column = stack.pop()
            region[row, column] = number
            beside = {(row + down, column + right) for down in _STEPS for right in _STEPS}
            stack += beside & waiting
            waiting -= beside
    return np.array([region[cell] for cell in cells], dtype=np.intp)


_STEPS = (-1, 0, 1)


def _area(line: TextLine) -> float:
    return (line.right - line.left) * (line.bottom - line.top)
