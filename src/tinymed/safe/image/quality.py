"""Whether a picture is good enough to be read: sharp, evenly lit, of enough contrast and size.

Thresholds were chosen on SLAKE's train and validation images and VQA-RAD's train images, so
that each alert is raised on at most about 2 % of them, and tried on copies damaged on purpose.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinymed.safe.gate import Alert, AlertCode, Gates
from tinymed.safe.image.reduced import Floats, Reduced

MAX_BLUR = 0.68
"""Of `blur`: the highest among the images chosen on is 0.66, and a Gaussian blur of three pixels
in 512 gives 0.77 or more nine times in ten."""
MAX_GLARE = 0.10
"""Of `glare`: 1 % of the images chosen on have more (2 % of VQA-RAD's). A disc of light has 0.10
to 0.20."""
MIN_BRIGHTEST = 95.0
"""The 99th percentile of the grey levels; no image chosen on has less."""
MIN_BRIGHT = 60.0
"""The 95th; 1 % of the images chosen on, small slices of a large black field, have less."""
MIN_SPAN = 95.0
"""Grey levels from the 1st percentile to the 99th; no image chosen on has less."""
MAX_MEAN = 175.0
"""Mean grey level; the highest among the images chosen on is 169."""
MAX_SATURATED = 0.2
"""Share of pixels at 250 and more; the highest among the images chosen on is 0.11."""
MAX_DARK = 85.0
"""The 5th percentile; the highest among the images chosen on is 78."""
MIN_SIDE_PX = 200
"""The shorter side. The smallest images chosen on have 240, and `nano` reads 260."""

_SATURATED = 250.0


def quality_alerts(image: Reduced, gates: Gates) -> list[Alert]:
    """What is wrong with a picture's quality.

    Of its light, the first fault that applies is told: a dark picture lacks contrast as well.

    Args:
        image: The picture and its small copy.
        gates: What the gate "quality" may do.
    """
    found = [_resolution(image), _sharpness(image.grey), _light(image.grey)]
    return [
        Alert(
            code=code,
            gate="quality",
            withholds=gates.quality == "withhold",
            detail=detail,
            figures={name: round(value, 3) for name, value in figures.items()},
        )
        for code, detail, figures in (fault for fault in found if fault is not None)
    ]


_Fault = tuple[AlertCode, str, dict[str, float]]


def _resolution(image: Reduced) -> _Fault | None:
    shorter = min(image.whole.shape[:2])
    if shorter >= MIN_SIDE_PX:
        return None
    return (
        "low-resolution",
        "The picture has too few pixels for details to be seen.",
        {"shorter_side_px": float(shorter), "least_px": float(MIN_SIDE_PX)},
    )


def _sharpness(grey: Floats) -> _Fault | None:
    measured = blur(grey)
    if measured <= MAX_BLUR:
        return None
    detail = "The picture is blurred: fine lines and small nodules cannot be told."
    return "blurred", detail, {"blur": measured, "most": MAX_BLUR}


def _light(grey: Floats) -> _Fault | None:
    """The first of: too dark, too little contrast, too bright, glare."""
    lowest, dark, bright, brightest = (float(v) for v in np.percentile(grey, [1, 5, 95, 99]))
    mean, saturated = float(grey.mean()), float((grey >= _SATURATED).mean())
    if brightest < MIN_BRIGHTEST or bright < MIN_BRIGHT:
        figures = {"grey_level_99th_percentile": brightest, "grey_level_95th_percentile": bright}
        return "too-dark", "The picture is too dark.", figures
    if brightest - lowest < MIN_SPAN:
        figures = {"grey_levels_used": brightest - lowest, "least": MIN_SPAN}
        return "low-contrast", "The picture has hardly any contrast.", figures
    if mean > MAX_MEAN or saturated > MAX_SATURATED or dark > MAX_DARK:
        figures = {"mean_grey_level": mean, "share_saturated": saturated}
        return "too-bright", "The picture is too bright.", figures
    width = glare(grey)
    if width > MAX_GLARE:
        detail = "Part of the picture is blank white, as a reflection or a flash leaves it."
        return "glare", detail, {"white_share_of_side": width, "most": MAX_GLARE}
    return None


def blur(grey: Floats) -> float:
    """How little a picture changes when it is blurred, in [0, 1]: 1 is blurred already.

    The differences between neighbours are compared with those of a copy that is blurred along
    rows or columns over five pixels; the worse direction counts. It hardly depends on what the
    picture shows, as the energy of its edges does.

    Args:
        grey: Shape (rows, columns).

    Source:
        Crete, Dolmiere, Ladret, Nicolas (2007), "The blur effect: perception and estimation
        with a new no-reference perceptual blur metric", SPIE 6492; with five pixels where they
        take nine, because the picture is small.
    """
    return max(_blur_along_rows(grey), _blur_along_rows(grey.T))


_REACH_PX = 2


def _blur_along_rows(grey: Floats) -> float:
    side = 2 * _REACH_PX + 1
    padded = np.pad(grey, ((0, 0), (_REACH_PX, _REACH_PX)), mode="edge")
    width = grey.shape[1]
    blurred: Floats = sum(
        (padded[:, start : start + width] for start in range(1, side)), padded[:, :width]
    ) / np.float32(side)
    differences = np.abs(np.diff(grey, axis=1))
    lost = np.maximum(differences - np.abs(np.diff(blurred, axis=1)), 0)
    total = float(differences.sum())
    return 1.0 - float(lost.sum()) / total if total > 0 else 0.0


def glare(grey: Floats) -> float:
    """The side of the largest square that is blank white, by the picture's shorter side.

    Bone and contrast medium are white too, but not over squares of such a size.

    Args:
        grey: Shape (rows, columns).
    """
    shorter: int = min(grey.shape)
    sums = np.pad((grey >= _SATURATED).astype(np.int32), ((1, 0), (1, 0)))
    sums = sums.cumsum(axis=0).cumsum(axis=1)
    least, most = 0, shorter
    while least < most:  # a white square holds a smaller one: halve the interval
        side = (least + most + 1) // 2
        if _has_white_square(sums, side):
            least = side
        else:
            most = side - 1
    return least / shorter


def _has_white_square(sums: npt.NDArray[np.int32], side: int) -> bool:
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return bool((inside == side * side).any())
