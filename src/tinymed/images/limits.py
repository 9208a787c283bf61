"""How large, how small and how intricate a file and its picture may be."""

from __future__ import annotations

from typing import Final

from tinymed.errors import ImageError

MAX_FILE_BYTES: Final = 512_000_000
MAX_INFLATED_BYTES: Final = 256_000_000
"""Of a deflated DICOM file, unpacked."""
MAX_DECODED_BYTES: Final = 512_000_000
"""Of one frame's stored values."""
MAX_PICTURE_PIXELS: Final = 50_000_000
MIN_SIDE_PX: Final = 16
MAX_FRAMES: Final = 10_000
MAX_ELEMENTS: Final = 100_000
"""Data elements, items and fragments of a DICOM file, at every depth."""
MAX_NESTING: Final = 64
"""DICOM sequences within each other; their reader calls itself for each."""
MAX_ATTRIBUTE_BYTES: Final = 65_536
"""Of one DICOM attribute, other than pixels and tables."""
MAX_SCANS: Final = 100
"""Passes over the picture in a JPEG. Progressive ones have about ten."""
MAX_SCANNED_PIXELS: Final = 1_000_000_000
"""Pixels times scans of a JPEG: each scan visits every pixel, however few bytes it has."""


def check_file_size(num_bytes: int) -> None:
    """Refuse a file that is empty or larger than MAX_FILE_BYTES.

    Raises:
        ImageError: If it is.
    """
    if num_bytes == 0:
        raise ImageError("it is empty (0 bytes); export or copy it again")
    if num_bytes > MAX_FILE_BYTES:
        raise ImageError(
            f"it has {num_bytes / 1e6:.0f} MB, above the limit of "
            f"{MAX_FILE_BYTES / 1e6:.0f} MB; export a single picture"
        )


def check_picture_size(width: int, height: int) -> None:
    """Refuse a picture by the size its header states, before anything is decoded.

    Raises:
        ImageError: If a side is below MIN_SIDE_PX or the area above MAX_PICTURE_PIXELS.
    """
    if min(width, height) < MIN_SIDE_PX:
        raise ImageError(
            f"it is {width} x {height} pixels and a side needs at least {MIN_SIDE_PX}; "
            "export it at full size"
        )
    if width * height > MAX_PICTURE_PIXELS:
        raise ImageError(
            f"it is {width} x {height} pixels, above the limit of "
            f"{MAX_PICTURE_PIXELS // 1_000_000} million; scale it down"
        )


def chosen_frame(frame: int | None, num_frames: int) -> int:
    """Give the frame asked for, or the middle one where none is.

    Args:
        frame: From 0.
        num_frames: As the file states it, at least 1.

    Raises:
        ImageError: If the file states more than MAX_FRAMES, or has no such frame.
    """
    if num_frames > MAX_FRAMES:
        raise ImageError(
            f"it states {num_frames} frames, above the limit of {MAX_FRAMES}; export fewer"
        )
    if frame is None:
        return (num_frames - 1) // 2
    if not 0 <= frame < num_frames:
        raise ImageError(
            f"it has no frame {frame + 1}; choose one from 1 to {num_frames}"
            if num_frames > 1
            else "it has a single frame; ask for that one"
        )
    return frame


def check_jpeg_scans(codestream: bytes, num_pixels: int) -> None:
    """Refuse a JPEG that takes minutes to decode, for it has thousands of passes.

    Raises:
        ImageError: If it has more than MAX_SCANS, or MAX_SCANNED_PIXELS in all of them.
    """
    # In compressed values 0xFF is always followed by a zero or a restart mark, so what is
    # found are scans, or the few of a thumbnail.
    num_scans = codestream.count(b"\xff\xda")
    if num_scans > MAX_SCANS or num_scans * num_pixels > MAX_SCANNED_PIXELS:
        raise ImageError(
            f"its JPEG has {num_scans} scans, too many to decode; export it as an ordinary JPEG"
        )
