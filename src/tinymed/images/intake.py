"""An image file named by its path."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tinymed.errors import ImageError
from tinymed.images.limits import check_file_size
from tinymed.images.receive import receive

if TYPE_CHECKING:
    from pathlib import Path

    from tinymed.images.medical_image import MedicalImage


def read_image(path: Path) -> MedicalImage:
    """Read an image file of any supported kind, the middle frame where it has several.

    The kind is told by the bytes, never by the name. Nothing is decoded before the size that
    the file's header states has been checked.

    Raises:
        ImageError: If it cannot be shown, in one sentence: which file, what is wrong, what to do.
    """
    try:
        _check_file(path)
        with path.open("rb") as stream:
            return receive(stream.read(), None).image
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
    check_file_size(status.st_size)
