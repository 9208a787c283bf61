"""How large and how small a picture may be."""

from __future__ import annotations

from tinymed.errors import ImageError

MAX_FILE_BYTES = 512_000_000
MAX_PICTURE_PIXELS = 50_000_000
MIN_SIDE_PX = 16


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
