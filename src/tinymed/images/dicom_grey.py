"""DICOM's grey-scale pipeline: from stored values to what a reading screen shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_voi_lut

from tinymed.errors import ImageError
from tinymed.images.grey_levels import percentile_range, to_eight_bit

_MAX_TABLE_LEVELS = 2**16
_WINDOW_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def render_grey(
    frame: npt.NDArray[Any], dataset: Dataset, notes: list[str]
) -> npt.NDArray[np.uint8]:
    """Eight-bit grey picture of one frame, bright where the tissue is dense.

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
        levels = np.arange(int(low), int(high) + 1)
        positions = frame.astype(np.int64) - int(low)
        picture = _show(levels, frame, padding, dataset, notes)[positions]
    else:
        picture = _show(frame, frame, padding, dataset, notes)
    if padding.any():
        picture[padding] = 0
        notes.append("pixel padding made black")
    return picture


def frame_attributes(dataset: Dataset, index: int) -> Dataset:
    """Lay one frame's functional groups over the attributes that all frames share."""
    merged = Dataset(dataset)
    merged.file_meta = dataset.file_meta
    merged.set_original_encoding(*dataset.original_encoding)
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in (*shared[:1], *per_frame[index : index + 1]):
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in group.get(name) or []:
                merged.update(item)
    return merged


def _show(
    levels: npt.NDArray[Any],
    frame: npt.NDArray[Any],
    padding: npt.NDArray[np.bool_],
    dataset: Dataset,
    notes: list[str],
) -> npt.NDArray[np.uint8]:
    values, note = _modality_values(levels, dataset)
    if note:
        notes.append(note)
    shown = _voi_levels(values, dataset, notes)
    if shown is None:
        stored = frame if padding.all() else frame[~padding]
        ends, _ = _modality_values(np.rint(percentile_range(stored)).astype(np.int64), dataset)
        low, high = sorted(ends.tolist())
        notes.append(f"no window in the file: percentiles, {low:g} to {high:g}")
        shown = to_eight_bit(values, low, high)
    return _inverted_if_asked(shown, dataset, notes)


def _modality_values(
    levels: npt.NDArray[Any], dataset: Dataset
) -> tuple[npt.NDArray[Any], str | None]:
    tables = dataset.get("ModalityLUTSequence")
    if tables:
        table, first, _bits = _lookup_table(tables[0], dataset)
        return _look_up(levels, table, first), "modality LUT"
    slope = _first_number(dataset.get("RescaleSlope"), 1.0) or 1.0
    intercept = _first_number(dataset.get("RescaleIntercept"), 0.0) or 0.0
    if (slope, intercept) == (1, 0):
        return levels, None
    return levels * slope + intercept, f"rescale slope {slope:g} intercept {intercept:g}"


def _voi_levels(
    values: npt.NDArray[Any], dataset: Dataset, notes: list[str]
) -> npt.NDArray[np.uint8] | None:
    tables = dataset.get("VOILUTSequence")
    if tables:
        table, first, bits = _lookup_table(tables[0], dataset)
        notes.append("VOI LUT")
        return to_eight_bit(_look_up(np.rint(values), table, first), 0, 2**bits - 1)
    center = _first_number(dataset.get("WindowCenter"), None)
    width = _first_number(dataset.get("WindowWidth"), None)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in _WINDOW_FUNCTIONS:
        function = "LINEAR"
    if center is None or width is None or width <= 0 or (width < 1 and function == "LINEAR"):
        return None
    suffix = "" if function == "LINEAR" else f" {function}"
    notes.append(f"window center {center:g} width {width:g}{suffix}")
    return _windowed(values, center, width, function)


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


def _inverted_if_asked(
    shown: npt.NDArray[np.uint8], dataset: Dataset, notes: list[str]
) -> npt.NDArray[np.uint8]:
    # PresentationLUTShape says the same as MONOCHROME1 once more; twice would undo it.
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append("inverted: MONOCHROME1")
    elif str(dataset.get("PresentationLUTShape", "")).strip().upper() == "INVERSE":
        notes.append("inverted: PresentationLUTShape INVERSE")
    else:
        return shown
    return 255 - shown


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
    data = item.LUTData
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


def _first_number(value: object, default: float | None) -> float | None:
    """Take the first of a DICOM element's numbers; some writers give several, or none."""
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    if value is None or value == "":
        return default
    number = float(str(value))
    return number if np.isfinite(number) else default
