"""PNG and JPEG pictures."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from tinymed.errors import ImageError
from tinymed.images.grey_levels import percentile_range, spread, to_eight_bit, viewer_levels
from tinymed.images.limits import check_jpeg_scans, check_picture_size, chosen_frame
from tinymed.images.medical_image import MedicalImage
from tinymed.images.received import ImageFacts, ReceivedFrame

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tinymed.images.received import GreyLevels

T = TypeVar("T")

RasterFormat = Literal["png", "jpeg"]

_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
_NUM_LEVELS = 2**16
_UPRIGHT = 1
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF's orientations other than 1 call for."""
_CAMERA_TAGS = (ExifTags.Base.Make, ExifTags.Base.Model)


def read_raster(stream: BinaryIO, source: RasterFormat) -> MedicalImage:
    """Read a PNG or JPEG picture, as `receive_raster` does."""
    return receive_raster(stream, source).image


def receive_raster(
    stream: BinaryIO, source: RasterFormat, frame: int | None = None
) -> ReceivedFrame:
    """Read a PNG or JPEG picture, the right way up.

    Grey levels beyond eight bits are scaled by the picture's own percentiles: such files hold
    10 to 14 bit detector values in 16, and the full range would show them black. Transparency
    is laid on black.

    Raises:
        ImageError: If it is damaged, too small or too large; names neither file nor folder.
    """
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(stream, formats=(source.upper(),)) as image:
                check_picture_size(*image.size)
                if source == "jpeg":
                    _check_scans(stream, image.width * image.height)
                index = chosen_frame(frame, 1)
                image.load()
                facts = ImageFacts(is_from_camera=_told(image, _is_from_camera, otherwise=False))
                pixels, levels = _to_rgb(_upright(image, notes), notes)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError("it has too many pixels; scale it down") from error
    except UnidentifiedImageError as error:  # 12 bits a pixel or without loss, where it is JPEG
        kind = source.upper()
        raise ImageError(
            f"its {kind} data are damaged, or of a rare kind that cannot be read here; "
            f"export it as an ordinary {kind}"
        ) from error
    # ValueError: Pillow's, of text and colour profiles that swell.
    except (OSError, SyntaxError, EOFError, ValueError) as error:
        raise ImageError(
            f"its {source.upper()} data are damaged or cut short; export or copy it again"
        ) from error
    return ReceivedFrame(
        image=MedicalImage(pixels=pixels, source=source, notes=tuple(notes)),
        levels=levels,
        frame=index,
        num_frames=1,
        facts=facts,
    )


def _check_scans(stream: BinaryIO, num_pixels: int) -> None:
    position = stream.tell()
    stream.seek(0)
    check_jpeg_scans(stream.read(), num_pixels)
    stream.seek(position)


def _is_from_camera(exif: Image.Exif) -> bool:
    if any(exif.get(tag) for tag in _CAMERA_TAGS):
        return True
    return ExifTags.Base.ExposureTime in exif.get_ifd(ExifTags.IFD.Exif)


def _orientation(exif: Image.Exif) -> int:
    orientation = exif.get(ExifTags.Base.Orientation, _UPRIGHT)
    return int(orientation) if orientation in _TURNS else _UPRIGHT


def _told(image: Image.Image, read: Callable[[Image.Exif], T], otherwise: T) -> T:
    """What EXIF says, else `otherwise`: the picture is good whatever is wrong with its table."""
    try:
        return read(image.getexif())
    except Exception:  # noqa: BLE001 - what Pillow raises of damaged tables has no common base
        return otherwise


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    orientation = _told(image, _orientation, _UPRIGHT)
    if orientation == _UPRIGHT:
        return image
    notes.append(f"turned upright: EXIF orientation {orientation}")
    # Not ImageOps.exif_transpose: that writes the whole table anew, and some cannot be written.
    return image.transpose(_TURNS[orientation])


def _to_rgb(
    image: Image.Image, notes: list[str]
) -> tuple[npt.NDArray[np.uint8], GreyLevels | None]:
    if image.mode == "I" or image.mode.startswith("I;16"):
        levels = np.asarray(image)
        low, high = percentile_range(levels)
        notes.append(f"grey levels {low:g} to {high:g} scaled to 8 bit")
        shown = _shown(levels, low, high)
        return np.stack([shown] * 3, axis=-1), viewer_levels(levels, low, high)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        notes.append("transparency laid on black")
        with_alpha = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(black, with_alpha).convert("RGB")), None
    return np.array(image.convert("RGB")), None


def _shown(levels: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    if levels.dtype.itemsize > 2:  # noqa: PLR2004 - bytes; a table of all levels is too large
        return to_eight_bit(levels, low, high)
    return spread(to_eight_bit(np.arange(_NUM_LEVELS), low, high), levels, 0)
