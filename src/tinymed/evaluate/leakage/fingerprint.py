"""How an image is recognised again: by its bytes, and by what it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinymed.errors import ImageError
from tinymed.images.intake import read_image
from tinymed.images.medical_image import MedicalImage
from tinymed.runs import sha256_of

THUMBNAIL_PX = 32
"""Height and width of the grey thumbnail that hash and correlation are taken from."""

HASH_SIDE = 16
"""Rows and columns of low frequencies in the hash: 256 bits.

With the usual 8 (64 bits) chest films all look alike: the closest pair of different films lay
6 bits apart, closer than many copies. With 16 it lay 60 bits apart (261 films), and the
closest pair of different pictures of VQA-RAD, ROCOv2 and SLAKE 50 bits (1.2 million pairs).
"""

_FREQUENCIES = np.arange(THUMBNAIL_PX)
_COSINES = np.cos(
    np.pi * (2 * _FREQUENCIES[None, :] + 1) * _FREQUENCIES[:, None] / (2 * THUMBNAIL_PX)
)[:HASH_SIDE]
"""The first rows of the DCT-II of THUMBNAIL_PX values; shape (HASH_SIDE, THUMBNAIL_PX)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a picture looks like, in little enough to compare it with 100,000 others."""

    hash: npt.NDArray[np.uint64]
    """256 bits in four words; shape (4,)."""
    thumbnail: npt.NDArray[np.uint8]
    """Grey levels; shape (THUMBNAIL_PX, THUMBNAIL_PX)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """An image file's bytes and looks."""

    digest: str
    """sha256 of the file."""
    picture: Picture | None
    """None for a file that cannot be shown as a picture."""


def fingerprint(path: Path) -> Fingerprint | None:
    """Take the fingerprint of an image file of any kind that tinymed reads, DICOM too.

    Returns:
        None where there is no such file or it cannot be opened.
    """
    if not path.is_file():
        return None
    try:
        digest = sha256_of(path)
    except OSError:
        return None
    try:
        picture = picture_of(read_image(path))
    except ImageError:
        picture = None
    return Fingerprint(digest=digest, picture=picture)


def picture_of(image: MedicalImage) -> Picture:
    """Shrink an image to a grey square, whatever its proportions, and hash that."""
    grey = Image.fromarray(image.pixels).convert("L")
    small = grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    thumbnail = np.asarray(small, dtype=np.uint8)
    return Picture(hash=perceptual_hash(thumbnail), thumbnail=thumbnail)


def perceptual_hash(thumbnail: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Hash what is coarse in a thumbnail: which low frequencies lie above their median.

    Bits stay where they are when a picture is saved, scaled, brightened or given more contrast
    again; the mean grey level, which such changes move, has no say and its bit is always 0.

    Args:
        thumbnail: Shape (THUMBNAIL_PX, THUMBNAIL_PX).

    Returns:
        Shape (4,): bits in the order of the rows of frequencies.

    Source:
        The DCT hash of Zauner (2010), "Implementation and benchmarking of perceptual image hash
        functions", with 16 x 16 frequencies from the lowest on in place of 8 x 8.
    """
    frequencies = (_COSINES @ thumbnail @ _COSINES.T).ravel()
    bits = frequencies > np.median(frequencies[1:])
    bits[0] = False
    return np.packbits(bits).view(np.uint64)
