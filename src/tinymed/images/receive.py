"""Any image as bytes: PNG, JPEG or DICOM, told apart by what is in them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from tinymed.errors import ImageError
from tinymed.images.limits import MAX_FILE_BYTES, check_file_size
from tinymed.images.raster import receive_raster

if TYPE_CHECKING:
    from tinymed.images.received import ReceivedFrame

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_BARE_DICOM = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
"""A data set without the DICOM file header opens with group 0002 or 0008."""

_UNSUPPORTED = (
    (0, b"GIF8", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (0, b"II+\0", "a TIFF image"),
    (0, b"BM", "a BMP image"),
    (8, b"WEBP", "a WebP image"),
    (4, b"ftypheic", "a HEIC photo"),
    (4, b"ftypheix", "a HEIC photo"),
    (4, b"ftyphevc", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIC photo"),
    (4, b"ftypmsf1", "a HEIC photo"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyp", "a video"),
    (4, b"jP  \r\n", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"NRRD", "an NRRD volume"),
    (344, b"n+1\0", "a NIfTI volume"),
)
_HEAD_BYTES = 512
_KNOWN = "PNG, JPEG or DICOM"


def receive_image(data: bytes | BinaryIO, *, frame: int | None = None) -> ReceivedFrame:
    """Decode one frame of an image of any supported kind, in this process.

    The kind is told by the bytes. Nothing is decoded before what the file states of itself has
    been held against `tinymed.images.limits`. Bytes from a stranger belong in a
    `tinymed.images.decoder.Decoder`, which bounds time and memory too.

    Args:
        data: The file's bytes, or where to read them.
        frame: From 0; None takes the middle one.

    Raises:
        ImageError: If it cannot be shown, in one sentence: what is wrong, what to do.
    """
    try:
        return receive(data if isinstance(data, bytes) else data.read(MAX_FILE_BYTES + 1), frame)
    except ImageError as error:
        raise ImageError(f"Cannot read this file: {error}.") from error


def receive(data: bytes, frame: int | None) -> ReceivedFrame:
    """Do what `receive_image` does, its errors being only the reason and the advice."""
    check_file_size(len(data))
    try:
        return _received(data, frame)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(
            "decoding it takes more memory than there is; export it at a lower resolution"
        ) from error
    # The border to other people's parsers: damaged bytes make them fail in every way there is.
    except Exception as error:
        raise ImageError(
            f"its content is damaged ({type(error).__name__}); export or copy it again"
        ) from error


def _received(data: bytes, frame: int | None) -> ReceivedFrame:
    head = data[:_HEAD_BYTES]
    # First of all: the 128 bytes before the mark are free, and some scanners put TIFF there.
    if head[128:132] == b"DICM":
        return _received_dicom(data, frame)
    if head.startswith(_PNG):
        return receive_raster(BytesIO(data), "png", frame)
    if head.startswith(_JPEG):
        return receive_raster(BytesIO(data), "jpeg", frame)
    for offset, mark, name in _UNSUPPORTED:
        if head.startswith(mark, offset):
            raise ImageError(f"it is {name}, which is not supported; export it as {_KNOWN}")
    if head.startswith(_BARE_DICOM):
        return _received_dicom(data, frame)
    if head.isascii() and b"\0" not in head:
        raise ImageError(f"it is a text file, not an image; choose a {_KNOWN} file")
    raise ImageError(f"its format is unknown; export it as {_KNOWN}")


def _received_dicom(data: bytes, frame: int | None) -> ReceivedFrame:
    from tinymed.images.dicom import receive_dicom  # pydicom takes 0.3 s, and photos need none

    return receive_dicom(data, frame)
