"""DICOM's grey-scale pipeline: from stored values to what a reading screen shows."""

from __future__ import annotations

import math
from collections.abc import MutableSequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut

from tinymed.errors import ImageError
from tinymed.images.dicom_attribute import values as all_values
from tinymed.images.grey_levels import (
    linear_window,
    narrowed,
    percentile_range,
    spread,
    to_eight_bit,
)
from tinymed.images.received import GreyLevels

_MAX_TABLE_LEVELS = 2**16
_MAX_NUMBER: Final = 1e30
"""Of a window or a rescale: beyond, values are no numbers any more."""
_WINDOW_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True, slots=True, kw_only=True)
class GreyPicture:
    """One grey frame, as a reading screen shows it and as a viewer windows it."""

    shown: npt.NDArray[np.uint8]
    """Shape (height, width), bright where the tissue is dense."""
    levels: GreyLevels | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """How stored levels are shown, each array of their shape."""

    values: npt.NDArray[Any]
    """After the modality transform."""
    shown: npt.NDArray[np.uint8]
    center: float
    width: float
    """Of a linear window, in the unit of `values`, that shows them so or nearly."""
    is_inverted: bool


def render_grey(frame: npt.NDArray[Any], dataset: Dataset, notes: list[str]) -> GreyPicture:
    """Show one frame, bright where the tissue is dense.

    In the order that PS3.4 N.2 sets: modality LUT or rescale; VOI LUT, else the file's first
    window, else percentiles; inversion; padding made black. All but the last work on single
    levels, so they run once per level that can occur, not once per pixel.

    Args:
        frame: Stored values, shape (height, width).
        dataset: The frame's attributes (see `frame_attributes`).
        notes: Receives what was done, in words.

    Source:
        DICOM PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT), C.7.5.1.1.2 (pixel padding).
    """
    padding = _padding_mask(frame, dataset)
    low, high = frame.min(), frame.max()
    if float(high) - float(low) < _MAX_TABLE_LEVELS and np.issubdtype(frame.dtype, np.integer):
        stored = np.arange(int(low), int(high) + 1)
        view = _view(stored, frame, padding, dataset, notes)
        shown = spread(view.shown, frame, int(low))
        levels = _viewer_levels(stored, view)
        if levels is not None:
            levels = _with_values(levels, spread(levels.values, frame, int(low)))
    else:
        view = _view(frame, frame, padding, dataset, notes)
        shown, levels = view.shown, _viewer_levels(frame, view)
    if padding.any():
        shown[padding] = 0
        notes.append("pixel padding made black")
        if levels is not None and not padding.all():
            inside = levels.values[~padding]
            levels.values[padding] = inside.max() if levels.is_inverted else inside.min()
    return GreyPicture(shown=shown, levels=levels)


def frame_attributes(dataset: Dataset, index: int) -> Dataset:
    """Lay one frame's functional groups over the attributes that all frames share."""
    merged = Dataset(dataset)
    merged.file_meta = dataset.file_meta
    merged.set_original_encoding(*dataset.original_encoding)
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in (*shared[:1], *per_frame[index : index + 1]):
        for name in (
            "PixelValueTransformationSequence",
            "FrameVOILUTSequence",
            "PixelMeasuresSequence",
        ):
            for item in group.get(name) or []:
                merged.update(item)
    return merged


def _view(
    levels: npt.NDArray[Any],
    frame: npt.NDArray[Any],
    padding: npt.NDArray[np.bool_],
    dataset: Dataset,
    notes: list[str],
) -> _View:
    values, note = _modality_values(levels, dataset)
    if note:
        notes.append(note)
    windowed = _voi_levels(values, dataset, notes)
    if windowed is None:
        stored = frame if padding.all() else frame[~padding]
        ends, _ = _modality_values(np.rint(percentile_range(stored)).astype(np.int64), dataset)
        low, high = sorted(ends.tolist())
        notes.append(f"no window in the file: percentiles, {low:g} to {high:g}")
        windowed = to_eight_bit(values, low, high), *linear_window(low, high)
    shown, center, width = windowed
    is_inverted = _is_inverted(dataset, notes)
    return _View(
        values=values,
        shown=255 - shown if is_inverted else shown,
        center=center,
        width=width,
        is_inverted=is_inverted,
    )


def _viewer_levels(stored: npt.NDArray[Any], view: _View) -> GreyLevels | None:
    """Give a viewer the values after the modality transform, else the stored ones."""
    if not np.isfinite((view.center, view.width)).all():
        return None
    levels = narrowed(view.values)
    if levels is not None:
        return GreyLevels(
            values=levels, center=view.center, width=view.width, is_inverted=view.is_inverted
        )
    levels = narrowed(stored)
    if levels is None:
        return None
    # Only a rescale leaves whole numbers or 16 bits: it is undone for the window.
    first, last = int(stored.argmin()), int(stored.argmax())
    stored_low, values_low = float(stored.flat[first]), float(view.values.flat[first])
    rise = float(view.values.flat[last]) - values_low
    if not rise or not np.isfinite(rise):
        return None
    slope = rise / (float(stored.flat[last]) - stored_low)
    return GreyLevels(
        values=levels,
        center=stored_low + (view.center - values_low) / slope,
        width=max(1.0, abs(view.width / slope)),
        is_inverted=view.is_inverted != (slope < 0),
    )


def _with_values(levels: GreyLevels, values: npt.NDArray[Any]) -> GreyLevels:
    return GreyLevels(
        values=values, center=levels.center, width=levels.width, is_inverted=levels.is_inverted
    )


def _modality_values(
    levels: npt.NDArray[Any], dataset: Dataset
) -> tuple[npt.NDArray[Any], str | None]:
    tables = dataset.get("ModalityLUTSequence")
    if tables:
        table, first, _bits = _lookup_table(tables[0], dataset)
        return _look_up(levels, table, first), "modality LUT"
    slope = _rescale_number(dataset, "RescaleSlope") or 1.0
    intercept = _rescale_number(dataset, "RescaleIntercept")
    if (slope, intercept) == (1, 0):
        return levels, None
    return levels * slope + intercept, f"rescale slope {slope:g} intercept {intercept:g}"


def _rescale_number(dataset: Dataset, keyword: str) -> float:
    """Slope or intercept, 0 where there is none; without the right one every value is wrong."""
    try:
        number = _first_number(dataset.get(keyword)) or 0.0
    except ValueError:  # such as a comma for the point
        number = math.nan
    if not _is_sane(number):
        raise ImageError(f"its {keyword} is damaged; export it again")
    return number


def _voi_levels(
    values: npt.NDArray[Any], dataset: Dataset, notes: list[str]
) -> tuple[npt.NDArray[np.uint8], float, float] | None:
    """Values as shown, center and width of the window; None where the file has none."""
    tables = dataset.get("VOILUTSequence")
    if tables:
        table, first, bits = _lookup_table(tables[0], dataset)
        notes.append("VOI LUT")
        shown = to_eight_bit(_look_up(np.rint(values), table, first), 0, 2**bits - 1)
        return shown, *_nearest_window(values, shown)
    center, width = _window_number(dataset, "WindowCenter"), _window_number(dataset, "WindowWidth")
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in _WINDOW_FUNCTIONS:
        function = "LINEAR"
    if center is None or width is None or width <= 0 or (width < 1 and function == "LINEAR"):
        return None
    suffix = "" if function == "LINEAR" else f" {function}"
    notes.append(f"window center {center:g} width {width:g}{suffix}")
    return _windowed(values, center, width, function), center, width


def _window_number(dataset: Dataset, keyword: str) -> float | None:
    """Center or width of the first window; None where it is none, or damaged."""
    try:
        number = _first_number(all_values(dataset, keyword))
    except ValueError:
        return None
    return number if number is not None and _is_sane(number) else None


def _nearest_window(values: npt.NDArray[Any], shown: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Center and width of the linear window over the values between darkest and brightest."""
    between = values[(shown > shown.min()) & (shown < shown.max())]
    if not between.size:
        between = values
    return linear_window(float(between.min()), float(between.max()))


def _windowed(
    values: npt.NDArray[Any], center: float, width: float, function: str
) -> npt.NDArray[np.uint8]:
    # An attribute set of its own: with the file's, pydicom scales to a range that depends on
    # the rescale slope and turns the picture into its negative where the slope is negative.
    view = Dataset()
    view.PhotometricInterpretation = "MONOCHROME2"
    view.BitsStored = 8
    view.PixelRepresentation = 0
    view.WindowCenter = center
    view.WindowWidth = width
    view.VOILUTFunction = function
    return to_eight_bit(apply_voi_lut(values, view), 0, 255)


def _is_inverted(dataset: Dataset, notes: list[str]) -> bool:
    # PresentationLUTShape says the same as MONOCHROME1 once more; twice would undo it.
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append("inverted: MONOCHROME1")
        return True
    if str(dataset.get("PresentationLUTShape", "")).strip().upper() == "INVERSE":
        notes.append("inverted: PresentationLUTShape INVERSE")
        return True
    return False


def _padding_mask(frame: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_]:
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(frame.shape, dtype=np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit")
    # Written as unsigned by some scanners where the pixels are signed: compare the bits.
    ends = np.array([value, limit if isinstance(limit, int) else value]).astype(frame.dtype)
    return np.asarray((frame >= ends.min()) & (frame <= ends.max()))


def _lookup_table(item: Dataset, dataset: Dataset) -> tuple[npt.NDArray[Any], int, int]:
    """Entries, the value that the first one stands for, and bits per entry."""
    num_entries, first, bits = (int(number) for number in item.LUTDescriptor)
    num_entries = num_entries or 2**16
    data = item.LUTData or b""
    if isinstance(data, bytes):
        width = 1 if len(data) < 2 * num_entries else 2
        little_endian = dataset.original_encoding[1] is not False
        data = np.frombuffer(data, dtype=f"{'<' if little_endian else '>'}u{width}")
    table = np.atleast_1d(np.asarray(data))[:num_entries]
    if not table.size or not 1 <= bits <= 16:  # noqa: PLR2004 - PS3.3 C.11.1.1
        raise ImageError("its lookup table is damaged; export it again")
    return table, first, bits


def _look_up(values: npt.NDArray[Any], table: npt.NDArray[Any], first: int) -> npt.NDArray[Any]:
    # pydicom's apply_voi holds the positions in the table's own type, and an 8-bit table of
    # more than 256 entries wraps around there.
    return np.asarray(table[(values - first).clip(0, table.size - 1).astype(np.int64)])


def _is_sane(number: float) -> bool:
    return abs(number) <= _MAX_NUMBER  # and not NaN


def _first_number(found: object) -> float | None:
    """Take the first of a DICOM element's numbers; some writers give several, or none."""
    if isinstance(found, MutableSequence):
        found = found[0] if found else None
    return None if found is None or found == "" else float(str(found))
