"""An image as every later step sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicalImage:
    """Eight-bit RGB pixels, the right way up, white on black where it is a radiograph."""

    pixels: npt.NDArray[np.uint8]
    """Shape (height, width, 3)."""
    source: str
    """"dicom", "png" or "jpeg"."""
    notes: tuple[str, ...] = ()
    """What was done to it, in words a reader can check ("inverted: MONOCHROME1")."""
