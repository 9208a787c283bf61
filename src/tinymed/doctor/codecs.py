"""Kinds of image files: which of them can be decoded here, tried or asked for."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from pydicom import uid
from pydicom.pixels.decoders import base

from tinymed.doctor.ingredient import Ingredient
from tinymed.errors import ImageError
from tinymed.images.raster import RasterFormat, read_raster

_SIDE_PX = 16

DICOM = {
    "DICOM uncompressed": (
        ("ExplicitVRLittleEndian", "ImplicitVRLittleEndian", "ExplicitVRBigEndian"),
        None,
    ),
    "DICOM deflated": (("DeflatedExplicitVRLittleEndian",), None),
    "DICOM RLE": (("RLELossless",), None),
    "DICOM JPEG": (("JPEGBaseline8Bit",), None),
    "DICOM JPEG 2000": (("JPEG2000Lossless", "JPEG2000"), None),
    "DICOM JPEG Lossless": (("JPEGLossless", "JPEGLosslessSV1"), "python-gdcm"),
    "DICOM JPEG-LS": (("JPEGLSLossless", "JPEGLSNearLossless"), "pyjpegls"),
    "DICOM HTJ2K": (("HTJ2KLossless", "HTJ2KLosslessRPCL", "HTJ2K"), "pylibjpeg"),
}
"""Ways in which DICOM files are compressed: pydicom's names of each, and the package that decodes
them where tinymed brings none. Files of the first two of these were read with their packages."""

_EXPORT = "export such files uncompressed or as JPEG 2000"


def examine_codecs() -> tuple[Ingredient, ...]:
    """Try PNG and JPEG, and ask pydicom's decoders whether they have what they need."""
    raster = (_try_raster("PNG", "png"), _try_raster("JPEG", "jpeg"))
    return raster + tuple(_ask_dicom(name) for name in DICOM)


def _try_raster(name: str, kind: RasterFormat) -> Ingredient:
    """Write a grey picture and read it as the intake does."""
    file = BytesIO()
    try:
        Image.new("L", (_SIDE_PX, _SIDE_PX), 128).save(file, format=name)
        file.seek(0)
        is_here = bool((read_raster(file, kind).pixels == 128).all())  # noqa: PLR2004 - as written
    except (ImageError, OSError):
        is_here = False
    get = None if is_here else "pip install --force-reinstall pillow"
    return Ingredient(name=name, is_here=is_here, get=get)


def _ask_dicom(name: str) -> Ingredient:
    syntaxes, package = DICOM[name]
    is_here = all(base.get_decoder(getattr(uid, syntax)).is_available for syntax in syntaxes)
    note = f"8 bits only; {_EXPORT} where they have 12" if name == "DICOM JPEG" else None
    return Ingredient(
        name=name,
        is_here=is_here,
        note=note if is_here else _EXPORT,
        get=None if is_here else f"pip install {package or '--force-reinstall tinymed'}",
    )
