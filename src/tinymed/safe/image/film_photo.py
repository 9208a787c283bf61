"""Whether a picture is a photo of a film or of a screen, and not the image itself.

Each sign is simple and enough alone: a camera's EXIF data, a tint of what is lit, a light box
around the film, the fine grid that a screen's pixels make with a camera's. The last two do not
count where a DICOM file says which machine took it: a digital radiograph has bright collimated
borders, and the lines of its anti-scatter grid. Together they are found
on 1.3 % of SLAKE's and VQA-RAD's images, and on 85 % of photos simulated as CheXphoto's were
(Phillips et al. 2020, arXiv:2007.06199).
"""

from __future__ import annotations

import numpy as np

from tinymed.images.received import ImageFacts
from tinymed.safe.gate import Alert, Gates
from tinymed.safe.image.neighbourhood import neighbourhood_mean
from tinymed.safe.image.reduced import Floats, Pixels, Reduced

_ACQUIRED = frozenset({"CR", "DX", "CT", "MR", "MG", "NM", "PT", "RF", "US", "XA", "PX", "IO"})
"""DICOM's codes of machines; film digitizers (FD), captures and other pictures are left out."""
MIN_TINT = 4.0
"""Of `tint`, grey levels: SLAKE's images have none, two of VQA-RAD's 313 have more."""
SURROUND = (100.0, 252.0)
"""Of `surround`, grey levels. Above, it is the white of a page, on which figures stand. Seven of
859 images of SLAKE train and validation and VQA-RAD train are inside."""
MIN_GRID = 2.0
"""Of `grid`: two of VQA-RAD's 313 train images have more, none of SLAKE's 546."""


def film_photo_alert(image: Reduced, facts: ImageFacts, gates: Gates) -> Alert | None:
    """An alert where any sign of a camera is found.

    Args:
        image: The picture and its small copy.
        facts: What its file says.
        gates: What the gate "film-photo" may do.
    """
    measured = {"tint": tint(image), "surround": surround(image.grey), "grid": grid(image.whole)}
    is_acquired = facts.modality in _ACQUIRED
    signs = []
    if facts.is_from_camera:
        signs.append("its file names a camera")
    if measured["tint"] >= MIN_TINT:
        signs.append("it is tinted")
    if not is_acquired and SURROUND[0] <= measured["surround"] <= SURROUND[1]:
        signs.append("there is a bright surround")
    if not is_acquired and measured["grid"] >= MIN_GRID:
        signs.append("a fine grid lies over it")
    if not signs:
        return None
    return Alert(
        code="film-photo",
        gate="film-photo",
        withholds=gates.film_photo == "withhold",
        detail=(
            "This may be a photo of a film or a screen, where greys and sides cannot be relied "
            f"upon: {', '.join(signs)}."
        ),
        figures={
            "tint_grey_levels": round(measured["tint"], 2),
            "surround_grey_level": round(measured["surround"], 1),
            "grid": round(measured["grid"], 2),
        },
    )


_LIT = 20.0
"""Grey level from which a pixel is lit at all."""


def tint(image: Reduced) -> float:
    """How far red or blue is from green in the middle of what is lit, in grey levels.

    The median, so that coloured arrows and a coloured overlay do not count.
    """
    lit = image.colour[image.grey > _LIT].astype(np.int16)
    if not len(lit):
        return 0.0
    red, blue = (float(np.median(lit[:, channel] - lit[:, 1])) for channel in (0, 2))
    return max(abs(red), abs(blue))


_BORDER = 0.03
"""Of the shorter side: how wide the border is that is looked at."""


def surround(grey: Floats) -> float:
    """How bright the picture's border is on all but one of its sides, in grey levels.

    Each side's lower quartile; one side may lie in the shade or under the film.
    """
    width = max(2, round(_BORDER * min(grey.shape)))
    sides = (grey[:width], grey[-width:], grey[:, :width], grey[:, -width:])
    return sorted(float(np.percentile(side, 25)) for side in sides)[1]


_GRID_SIDE_PX = 512
_MIN_GRID_SIDE_PX = 128
_FREQUENCIES = (0.05, 0.45)
"""Cycles a pixel. Below lies the anatomy, above the noise."""
_AXIS = 0.012
"""Cycles a pixel that are left out along both axes: JPEG's blocks and straight edges lie there."""
_REACH = 6
"""Frequencies around one that it is compared with."""


def grid(pixels: Pixels) -> float:
    """How far a single frequency stands out from those around it, as a natural logarithm.

    Of the middle of the picture as it is, because reducing it would remove the grid.

    Args:
        pixels: Shape (height, width, 3).
    """
    height, width = pixels.shape[:2]
    side = min(height, width, _GRID_SIDE_PX) // 32 * 32
    if side < _MIN_GRID_SIDE_PX:
        return 0.0
    top, left = (height - side) // 2, (width - side) // 2
    middle = pixels[top : top + side, left : left + side].astype(np.float32).mean(axis=2)
    window = np.hanning(side).astype(np.float32)
    spectrum = np.abs(np.fft.rfft2((middle - middle.mean()) * window[:, None] * window))
    # The added constant is what rounding to whole grey levels leaves.
    levels = np.fft.fftshift(np.log(spectrum + 1e-3 * side), axes=0).astype(np.float32)
    down = np.abs(np.fft.fftshift(np.fft.fftfreq(side)))[:, None]
    right = np.fft.rfftfreq(side)[None]
    distance = np.hypot(down, right)
    least, most = _FREQUENCIES
    counted = (distance > least) & (distance < most) & (down > _AXIS) & (right > _AXIS)
    return float((levels - neighbourhood_mean(levels, _REACH))[counted].max())
