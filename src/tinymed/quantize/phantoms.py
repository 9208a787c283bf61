"""Made-up pictures that stand in for medical images: no file, no network, no patient.

Integers alone, so that every machine draws the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinymed.images.medical_image import MedicalImage

_Levels = npt.NDArray[np.int64]
_Color = tuple[int, int, int]

_WHOLE = 1000
"""Places and sizes are thousandths of the picture's width and height."""
_GREY: _Color = (256, 256, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ellipse:
    """A filled ellipse; later ones cover earlier ones."""

    x: int
    y: int
    radius_x: int
    radius_y: int
    level: int
    """Grey level, 0 to 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """One kind of picture."""

    name: str
    width_px: int
    height_px: int
    background: int
    shapes: tuple[_Ellipse, ...] = ()
    slope: tuple[int, int] = (0, 0)
    """Grey levels gained from left to right and from top to bottom."""
    bars_px: int = 0
    """Width of dark and bright bars; 0 for none."""
    noise: int = 24
    """Grey levels between the darkest and the brightest grain."""
    tint: _Color = _GREY
    """256ths of the grey level that red, green and blue get."""


def _ellipses(rows: str) -> tuple[_Ellipse, ...]:
    """Shapes from text: x, y, radius x, radius y and level, a shape after each semicolon."""
    shapes = (map(int, row.split()) for row in rows.split(";"))
    return tuple(
        _Ellipse(x=x, y=y, radius_x=radius_x, radius_y=radius_y, level=level)
        for x, y, radius_x, radius_y, level in shapes
    )


_RIBS = "; ".join(f"{side} {top} 200 14 95" for top in range(250, 700, 90) for side in (300, 700))
_CELLS = "; ".join(
    f"{80 + 140 * column + 30 * (row % 2)} {90 + 130 * row} 34 {26 + 6 * (column % 3)} "
    f"{70 + 12 * ((row + column) % 4)}"
    for row in range(7)
    for column in range(7)
)

_DRAWINGS = (
    # A chest from the front: body, two dark lungs, ribs, spine, heart, diaphragm.
    _Drawing(
        name="chest",
        width_px=320,
        height_px=384,
        background=8,
        shapes=_ellipses(
            "500 540 460 480 130; 300 470 170 300 45; 700 470 170 300 45; "
            f"{_RIBS}; 500 520 55 460 175; 560 600 150 160 165; 300 830 190 120 150; "
            "700 850 190 110 150; 250 180 190 22 190; 750 180 190 22 190"
        ),
    ),
    # An axial slice of a head: skull, brain, ventricles.
    _Drawing(
        name="brain",
        width_px=256,
        height_px=256,
        background=0,
        shapes=_ellipses(
            "500 500 370 450 235; 500 500 335 415 105; 500 300 8 200 60; 455 470 40 110 30; "
            "545 470 40 110 30; 350 380 90 120 125; 650 380 90 120 125; 500 690 120 70 140"
        ),
        noise=14,
    ),
    # An axial slice of an abdomen: liver, spleen, kidneys, spine, aorta, bowel gas.
    _Drawing(
        name="abdomen",
        width_px=384,
        height_px=288,
        background=0,
        shapes=_ellipses(
            "500 500 465 420 75; 500 500 430 380 115; 300 400 200 230 165; 760 380 110 150 160; "
            "330 690 75 95 185; 670 690 75 95 185; 500 720 80 90 240; 500 590 34 40 205; "
            "540 300 120 60 15; 640 470 60 50 20"
        ),
        noise=30,
    ),
    # A long bone in soft tissue, with a dark line across its shaft.
    _Drawing(
        name="limb",
        width_px=160,
        height_px=400,
        background=12,
        shapes=_ellipses(
            "500 500 400 620 70; 500 480 110 430 205; 500 480 50 430 150; 500 70 220 80 215; "
            "500 900 240 90 215; 520 560 130 7 90"
        ),
    ),
    # A retina: a bright disc, vessels, the dark macula.
    _Drawing(
        name="retina",
        width_px=300,
        height_px=300,
        background=4,
        shapes=_ellipses(
            "500 500 480 480 150; 690 480 70 80 240; 560 330 190 9 85; 540 640 210 10 85; "
            "430 260 9 150 95; 400 700 10 140 95; 380 500 70 70 95"
        ),
        tint=(250, 130, 60),
        noise=18,
    ),
    # A stained section: dark cells on a light ground.
    _Drawing(
        name="tissue",
        width_px=352,
        height_px=352,
        background=215,
        shapes=_ellipses(_CELLS),
        tint=(244, 186, 236),
        noise=50,
    ),
    # An ultrasound: speckle that fades with depth, a dark cyst.
    _Drawing(
        name="ultrasound",
        width_px=400,
        height_px=300,
        background=150,
        shapes=_ellipses("420 470 130 150 20; 720 600 90 70 190; 720 800 60 160 40"),
        slope=(0, -90),
        noise=110,
    ),
    # No anatomy at all: bars over a gradient, four times as wide as high.
    _Drawing(
        name="bars",
        width_px=512,
        height_px=128,
        background=60,
        slope=(130, 40),
        bars_px=24,
        noise=6,
    ),
)

_LESION = _Ellipse(x=330, y=430, radius_x=70, radius_y=60, level=250)
_VARIANTS = ("plain", "mirrored with a bright spot", "dark and inverted")


def phantoms() -> Iterator[tuple[str, MedicalImage]]:
    """Yield 24 pictures, each with a name: eight drawings, each in three variants.

    Their proportions, sizes, grey levels and textures differ; two drawings have colour.
    """
    for seed, drawing in enumerate(_DRAWINGS):
        for variant in _VARIANTS:
            pixels = _draw(drawing, variant, seed=3 * seed + _VARIANTS.index(variant))
            yield (
                f"{drawing.name}, {variant}",
                MedicalImage(pixels=pixels, source="png", notes=("made up for a comparison",)),
            )


def _draw(drawing: _Drawing, variant: str, *, seed: int) -> npt.NDArray[np.uint8]:
    if variant == "mirrored with a bright spot":
        drawing = replace(drawing, shapes=(*drawing.shapes, _LESION))
    levels = _levels(drawing, seed=seed)
    if variant == "mirrored with a bright spot":
        levels = levels[:, ::-1]
    if variant == "dark and inverted":
        levels = (255 - levels) * 5 // 8
    colors = levels[:, :, None] * np.array(drawing.tint) // _GREY[0]
    return np.ascontiguousarray(colors.clip(0, 255).astype(np.uint8))


def _levels(drawing: _Drawing, *, seed: int) -> _Levels:
    """Grey levels, shape (height, width)."""
    rows, columns = np.mgrid[: drawing.height_px, : drawing.width_px].astype(np.int64)
    levels = np.full(rows.shape, drawing.background, np.int64)
    for shape in drawing.shapes:
        levels[_inside(shape, drawing, rows, columns)] = shape.level
    levels = _smooth(levels)
    levels += drawing.slope[0] * columns // drawing.width_px
    levels += drawing.slope[1] * rows // drawing.height_px
    if drawing.bars_px:
        levels += 70 * (columns // drawing.bars_px % 2)
    # Two grains, one of them four pixels wide: noise alone would not outlive the resizing.
    grain = _noise(rows, columns, seed) + 2 * _noise(rows // 4, columns // 4, seed + 100)
    return (levels + (grain - 382) * drawing.noise // 765).clip(0, 255)


def _inside(
    shape: _Ellipse, drawing: _Drawing, rows: _Levels, columns: _Levels
) -> npt.NDArray[np.bool_]:
    across = columns * _WHOLE // drawing.width_px - shape.x
    down = rows * _WHOLE // drawing.height_px - shape.y
    inside: npt.NDArray[np.bool_] = (across * shape.radius_y) ** 2 + (
        down * shape.radius_x
    ) ** 2 <= (shape.radius_x * shape.radius_y) ** 2
    return inside


def _smooth(levels: _Levels) -> _Levels:
    """The mean of each pixel and its eight neighbours; edges repeat."""
    padded = np.pad(levels, 1, mode="edge")
    height, width = levels.shape
    total = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return np.asarray(total) // 9


def _noise(rows: _Levels, columns: _Levels, seed: int) -> _Levels:
    """A number from 0 to 255 for each place, the same for the same place and seed.

    Source:
        The finalizer of MurmurHash3 (Appleby, 2011, public domain).
    """
    mixed = (rows * 0x9E3779B1 + columns * 0x85EBCA77 + (seed + 1) * 0xC2B2AE3D) & 0xFFFFFFFF
    mixed = mixed.astype(np.uint64)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor) & np.uint64(0xFFFFFFFF)
    return (mixed & np.uint64(255)).astype(np.int64)
