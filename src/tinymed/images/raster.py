"""PNG and JPEG pictures."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tinymed.errors import ImageError
from tinymed.images.grey_levels import percentile_range, to_eight_bit
from tinymed.images.limits import check_picture_size
from tinymed.images.medical_image import MedicalImage

if TYPE_CHECKING:
    import numpy.typing as npt

RasterFormat = Literal["png", "jpeg"]

_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")


def read_raster(stream: BinaryIO, source: RasterFormat) -> MedicalImage:
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
                image.load()
                pixels = _to_rgb(_upright(image, notes), notes)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError("it has too many pixels; scale it down") from error
    except (OSError, SyntaxError, EOFError) as error:
        raise ImageError(
            f"its {source.upper()} data are damaged or cut short; export or copy it again"
        ) from error
    return MedicalImage(pixels=pixels, source=source, notes=tuple(notes))


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation not in range(2, 9):
        return image
    notes.append(f"turned upright: EXIF orientation {orientation}")
    return ImageOps.exif_transpose(image)


def _to_rgb(image: Image.Image, notes: list[str]) -> npt.NDArray[np.uint8]:
    if image.mode == "I" or image.mode.startswith("I;16"):
        levels = np.asarray(image)
        low, high = percentile_range(levels)
        notes.append(f"grey levels {low:g} to {high:g} scaled to 8 bit")
        return np.stack([to_eight_bit(levels, low, high)] * 3, axis=-1)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        notes.append("transparency laid on black")
        with_alpha = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(black, with_alpha).convert("RGB"))
    return np.array(image.convert("RGB"))
