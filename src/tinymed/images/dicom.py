"""DICOM files: what may be shown of them, decoded within bounds."""

from __future__ import annotations

import logging
import struct
import warnings
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from tinymed.errors import ImageError
from tinymed.images.dicom_attribute import raw_value
from tinymed.images.dicom_facts import FACT_KEYWORDS, image_facts
from tinymed.images.dicom_grey import frame_attributes, render_grey
from tinymed.images.dicom_structure import checked_structure
from tinymed.images.limits import (
    MAX_ATTRIBUTE_BYTES,
    MAX_DECODED_BYTES,
    check_jpeg_scans,
    check_picture_size,
    chosen_frame,
)
from tinymed.images.medical_image import MedicalImage
from tinymed.images.private_words import PRIVATE_KEYWORDS, private_words
from tinymed.images.received import GreyLevels, ReceivedFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_NO_PICTURE = {
    uid.SegmentationStorage: "a segmentation",
    uid.UID("1.2.840.10008.5.1.4.1.1.66.7"): "a segmentation",  # label map; not in pydicom 3.0.2
    uid.RTDoseStorage: "a radiotherapy dose map",
    uid.MediaStorageDirectoryStorage: "a DICOMDIR, the index of a disc",
}
_ATTRIBUTES = (
    "SOPClassUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleSlope",
    "RescaleIntercept",
    "PresentationLUTShape",
    "PixelPresentation",
)
_TABLES = (
    "VOILUTSequence",
    "ModalityLUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
)
"""What may be long."""
_KEYWORDS = (*_ATTRIBUTES, *_TABLES, *FACT_KEYWORDS, *PRIVATE_KEYWORDS)
"""All that is taken from a data set; the rest is skipped unread."""


def receive_dicom(data: bytes, frame: int | None) -> ReceivedFrame:
    """Decode one frame of a DICOM file, the middle one where `frame` is None.

    Grey pictures go through the pipeline of `dicom_grey`; colour ones become RGB. Neither
    notes nor errors hold anything from the patient's tags.

    Raises:
        ImageError: If it holds no picture, is too large or cannot be decoded; names neither
            file nor folder.
    """
    with _quiet_pydicom():
        stream = BytesIO(checked_structure(data))
        dataset = pydicom.dcmread(stream, force=True, specific_tags=list(_KEYWORDS))
        _check_attributes(dataset)
        _check_holds_picture(dataset)
        num_frames = max(1, int(dataset.get("NumberOfFrames") or 1))
        index = chosen_frame(frame, num_frames)
        notes = [f"frame {index + 1} of {num_frames}"] if num_frames > 1 else []
        _check_stated_size(dataset)
        stored = _decode(dataset, index, num_frames, notes)
        attributes = frame_attributes(dataset, index)
        _check_attributes(attributes)
        pixels, levels = _to_rgb(stored, attributes, notes)
        return ReceivedFrame(
            image=MedicalImage(pixels=pixels, source="dicom", notes=tuple(notes)),
            levels=levels,
            frame=index,
            num_frames=num_frames,
            facts=image_facts(attributes),
            private_words=private_words(dataset),
        )


@contextmanager
def _quiet_pydicom() -> Iterator[None]:
    # Its warnings and log lines quote values, a patient's name among them.
    logger = logging.getLogger("pydicom")
    propagate = logger.propagate
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        logger.propagate = propagate


def _check_attributes(dataset: Dataset) -> None:
    """Refuse an attribute of millions of values before they are turned into numbers."""
    for keyword in (*_ATTRIBUTES, *FACT_KEYWORDS):
        if len(raw_value(dataset, keyword)) > MAX_ATTRIBUTE_BYTES:
            raise ImageError(f"its {keyword} is damaged; export or copy it again")


def _check_holds_picture(dataset: Dataset) -> None:
    sop_class = uid.UID(str(dataset.get("SOPClassUID") or ""))
    meta = dataset.file_meta
    if not sop_class:
        sop_class = uid.UID(str(meta.get("MediaStorageSOPClassUID") or ""))
    if not sop_class and "Rows" not in dataset:
        raise ImageError("it is not a DICOM image; export it as PNG, JPEG or DICOM")
    kind = _NO_PICTURE.get(sop_class)
    if kind is None and ("PixelData" not in dataset or "Rows" not in dataset):
        kind = _known_name(sop_class) or "a DICOM file of its own kind"
        if "Image Storage" in kind:
            raise ImageError("its pixel data are missing; export or copy it again")
    if kind is not None:
        raise ImageError(f"it holds no picture ({kind}); choose the image of the same study")


def _known_name(identifier: uid.UID) -> str | None:
    # The name of one that is not in the standard is its own text, which could be anything.
    return identifier.name if identifier.name != str(identifier) else None


def _check_stated_size(dataset: Dataset) -> None:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    check_picture_size(columns, rows)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    num_bytes = rows * columns * samples * int(dataset.BitsAllocated) // 8
    if num_bytes > MAX_DECODED_BYTES:
        raise ImageError(
            f"one frame takes {num_bytes / 1e6:.0f} MB, above the limit of "
            f"{MAX_DECODED_BYTES // 1_000_000} MB; export it at a lower resolution"
        )


def _decode(dataset: Dataset, index: int, num_frames: int, notes: list[str]) -> npt.NDArray[Any]:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        syntax = _guessed_syntax(dataset)
        dataset.file_meta.TransferSyntaxUID = syntax
        notes.append(f"no transfer syntax in the file: read as {syntax.name}")
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    # Pillow, the only decoder installed with us, stops at 8 bits here and reports it late.
    if syntax == uid.JPEGExtended12Bit and dataset.BitsStored > 8:  # noqa: PLR2004 - bits
        available = False
    if not available:
        method = _known_name(syntax) or "an unknown method"
        raise ImageError(
            f"it is compressed with {method}, which cannot be decoded here; "
            "export it uncompressed or as JPEG 2000"
        )
    try:
        if syntax.is_encapsulated:
            codestream = _codestream(dataset, index, num_frames)
            _check_codestream_size(codestream, int(dataset.Columns), int(dataset.Rows))
        return pixel_array(dataset, index=index)
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombWarning as error:
        raise ImageError("its compressed picture has too many pixels; scale it down") from error
    # The border to several codecs, each with errors of its own, whose text quotes the file.
    except Exception as error:
        raise ImageError(
            "its pixel data are damaged or cut short; export or copy it again"
        ) from error


def _codestream(dataset: Dataset, index: int, num_frames: int) -> bytes:
    """Find what pydicom will decode, by the same tables."""
    names = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
    tables = tuple(dataset[name].value for name in names if name in dataset)
    return get_frame(
        dataset.PixelData,
        index,
        number_of_frames=num_frames,
        extended_offsets=tables if len(tables) == len(names) else None,
    )


def _guessed_syntax(dataset: Dataset) -> uid.UID:
    implicit, little_endian = dataset.original_encoding
    if not little_endian:
        return uid.ExplicitVRBigEndian
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian


def _check_codestream_size(codestream: bytes, columns: int, rows: int) -> None:
    """Compare the size in the compressed picture, which its decoder believes, to the tags'.

    The tags' size has been checked against the limits.
    """
    start = codestream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start >= 0:  # JPEG 2000, whose header Pillow refuses for some colour models
        right, bottom, left, top = struct.unpack_from(">4I", codestream, start + 8)
        (num_components,) = struct.unpack_from(">H", codestream, start + 40)
        size = (right - left, bottom - top)
        if num_components > 4:  # noqa: PLR2004 - colour and transparency
            raise ImageError(f"it has {num_components} colour channels; export it as RGB")
    elif codestream.startswith(b"\xff\xd8"):
        check_jpeg_scans(codestream, columns * rows)
        try:
            with Image.open(BytesIO(codestream), formats=("JPEG",)) as image:
                size = image.size
        except (OSError, SyntaxError):
            return  # kinds of JPEG that Pillow does not know are the decoder's to judge
    else:
        return
    if size != (columns, rows):
        raise ImageError(
            f"its header says {columns} x {rows} pixels but its compressed picture "
            f"{size[0]} x {size[1]}; export it again"
        )


def _to_rgb(
    frame: npt.NDArray[Any], dataset: Dataset, notes: list[str]
) -> tuple[npt.NDArray[np.uint8], GreyLevels | None]:
    photometric = str(dataset.PhotometricInterpretation).strip()
    if photometric in _GREY and frame.ndim == 2:  # noqa: PLR2004 - (height, width)
        grey = render_grey(frame, dataset, notes)
        return np.stack([grey.shown] * 3, axis=-1), grey.levels
    if photometric == "PALETTE COLOR" and frame.ndim == 2:  # noqa: PLR2004 - (height, width)
        notes.append("colours from the file's palette")
        return _coloured(frame, dataset), None
    if photometric in _COLOUR and frame.shape[2:] == (3,):
        if photometric != "RGB":
            notes.append(f"{photometric} converted to RGB")
        return _to_eight_bits(frame, int(dataset.BitsStored)), None
    raise ImageError("its colour model is not supported; export it as RGB or grey scale")


def _coloured(frame: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    try:
        coloured = apply_color_lut(frame, _with_native_palette(dataset))[..., :3]
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    except MemoryError:
        raise
    # The border to pydicom, for which a palette of a few bytes fails in numpy.
    except Exception as error:
        raise ImageError("its palette is damaged; export or copy it again") from error
    return _to_eight_bits(coloured, bits)


def _with_native_palette(dataset: Dataset) -> Dataset:
    # pydicom reads the tables of a big-endian file as if they were little-endian.
    if dataset.original_encoding[1] is False:
        for colour in ("Red", "Green", "Blue"):
            name = f"{colour}PaletteColorLookupTableData"
            if name in dataset:
                swapped = np.frombuffer(dataset[name].value, dtype=">u2").astype("<u2")
                dataset[name].value = swapped.tobytes()
    return dataset


def _to_eight_bits(colours: npt.NDArray[Any], bits_stored: int) -> npt.NDArray[np.uint8]:
    return (colours >> max(0, bits_stored - 8)).astype(np.uint8)
