"""The one door for image files: PNG, JPEG or DICOM, told apart by their bytes."""

from __future__ import annotations

import stat
from functools import partial
from typing import TYPE_CHECKING

from tinymed.errors import ImageError
from tinymed.images.limits import MAX_FILE_BYTES
from tinymed.images.raster import read_raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from tinymed.images.medical_image import MedicalImage

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


def read_image(path: Path) -> MedicalImage:
    """Read an image file of any supported kind.

    The kind is told by the bytes, never by the name. Nothing is decoded before the size that
    the file's header states has been checked.

    Raises:
        ImageError: If it cannot be shown, in one sentence: which file, what is wrong, what to do.
    """
    try:
        _check_file(path)
        with path.open("rb") as stream:
            return _read(stream)
    except ImageError as error:
        raise ImageError(f"Cannot read {path}: {error}.") from error
    except PermissionError as error:
        raise ImageError(
            f"Cannot read {path}: you have no permission; ask its owner for read access."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or "the name or the disk is faulty"
        raise ImageError(f"Cannot read {path}: {reason}; copy the file elsewhere.") from error


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("there is no such file; check the spelling") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("it is a folder; name one image file in it")
    # A named pipe or a device would block for ever or never end.
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("it is not a regular file; copy the image to one")
    if status.st_size == 0:
        raise ImageError("it is empty (0 bytes); export or copy it again")
    if status.st_size > MAX_FILE_BYTES:
        raise ImageError(
            f"it has {status.st_size / 1e6:.0f} MB, above the limit of "
            f"{MAX_FILE_BYTES / 1e6:.0f} MB; export a single picture"
        )


def _read(stream: BinaryIO) -> MedicalImage:
    read = _reader(stream.read(_HEAD_BYTES))
    stream.seek(0)
    try:
        return read(stream)
    except ImageError:
        raise
    # The border to other people's parsers: damaged bytes make them fail in every way there is.
    except Exception as error:
        raise ImageError(
            f"its content is damaged ({type(error).__name__}); export or copy it again"
        ) from error


def _reader(head: bytes) -> Callable[[BinaryIO], MedicalImage]:
    # First of all: the 128 bytes before the mark are free, and some scanners put TIFF there.
    if head[128:132] == b"DICM":
        return _dicom_reader()
    if head.startswith(_PNG):
        return partial(read_raster, source="png")
    if head.startswith(_JPEG):
        return partial(read_raster, source="jpeg")
    for offset, mark, name in _UNSUPPORTED:
        if head.startswith(mark, offset):
            raise ImageError(f"it is {name}, which is not supported; export it as {_KNOWN}")
    if head.startswith(_BARE_DICOM):
        return _dicom_reader()
    if head.isascii() and b"\0" not in head:
        raise ImageError(f"it is a text file, not an image; choose a {_KNOWN} file")
    raise ImageError(f"its format is unknown; export it as {_KNOWN}")


def _dicom_reader() -> Callable[[BinaryIO], MedicalImage]:
    from tinymed.images.dicom import read_dicom  # pydicom takes 0.3 s, and photos need none

    return read_dicom
