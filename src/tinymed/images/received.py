"""An image as it came in from outside: what the model sees, what a viewer shows, what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tinymed.images.medical_image import MedicalImage


@dataclass(frozen=True, slots=True, kw_only=True)
class GreyLevels:
    """A grey frame as stored, for a viewer that sets the window itself."""

    values: npt.NDArray[Any]
    """Shape (height, width), uint8, int16 or uint16, native byte order, after the modality
    transform where that keeps them whole numbers."""
    center: float
    """Of the window the file asks for, or of one that shows what `MedicalImage` shows."""
    width: float
    is_inverted: bool
    """Whether low values are to be shown bright (MONOCHROME1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What a file says of its picture: nothing here can tell who the patient is."""

    modality: str | None = None
    """DICOM's code, such as "CR"; None where the file has none or it is not a known code."""
    body_part: str | None = None
    """DICOM's BodyPartExamined where it is one of the standard's terms, else None."""
    says_burned_in_text: bool | None = None
    """DICOM's BurnedInAnnotation. Not to be relied upon."""
    is_from_camera: bool = False
    """Whether the file carries a camera's EXIF data (make, model, exposure)."""
    has_spacing: bool = False
    """Whether it says how large a pixel is, in numbers above zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedFrame:
    """One frame, decoded."""

    image: MedicalImage
    levels: GreyLevels | None
    """None where a viewer is to show `image` as it is: colour, or nothing but eight bits."""
    frame: int
    """From 0."""
    num_frames: int
    facts: ImageFacts
    private_words: tuple[str, ...] = ()
    """Casefolded words of the patient's name and numbers, for keeping them out of logs. Never
    shown, written or sent."""
