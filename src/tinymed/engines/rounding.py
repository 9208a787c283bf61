"""Weights rounded to 8 or 4 bits: integers and the 16-bit scales that they share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int8]

BITS = {"int8": 8, "int4": 4}

GROUP_SIZES = {"int8": 32, "int4": 64}
"""Inputs that share a scale, in matrices whose width they divide; elsewhere a row does.
8.5 and 4.25 bits a weight. GGUF's 8-bit matrices have groups of 32: they come out as they were.
(The native engine has groups of 32 throughout.)"""

CLIPPINGS = (7.2, 7.7, 8.2, 8.7, 9.2)
"""Scales tried for 4 bits: a group's largest weight falls on -7.2, -7.7 … Beyond -8 it is cut
off, which pays where the others are far smaller."""

GROUPS_AT_ONCE = 2**18
"""Groups that are rounded together: bounds the memory of a large matrix."""


def is_quantized(precision: str) -> bool:
    """Whether a precision keeps integers and scales."""
    return precision in BITS


def group_size(width: int, precision: str) -> int:
    """How many of a row's weights share a scale.

    >>> group_size(576, "int8"), group_size(576, "int4"), group_size(100, "int8")
    (32, 64, 100)
    """
    group = GROUP_SIZES[precision]
    return group if width % group == 0 else width


def quantize_rows(weight: Array, *, bits: int = 8) -> tuple[Integers, Array]:
    """Symmetric integers of shape (output, input) and one 16-bit scale a row, (output, 1).

    In 8 bits a row's largest weight falls on 127 or -127. In 4 bits, where rounding weighs more
    than cutting off, each row gets that of CLIPPINGS which leaves the smallest squared error; the
    scale is negative where the largest weight is positive, because there are eight steps below
    nought and seven above.

    >>> values, scale = quantize_rows(np.float32([[1.0, -2.0], [0.0, 0.0]]))
    >>> values.tolist()
    [[64, -127], [0, 0]]
    >>> values, scale = quantize_rows(np.float32([[1.0, 0.5]]), bits=4)
    >>> values.tolist(), scale.tolist()
    ([[-8, -4]], [[-0.1219482421875]])
    """
    top = 2 ** (bits - 1) - 1
    integers = np.empty(weight.shape, dtype=np.int8)
    scales = np.empty((len(weight), 1), dtype=np.float32)
    for start in range(0, len(weight), GROUPS_AT_ONCE):
        some = slice(start, start + GROUPS_AT_ONCE)
        chunk = weight[some]
        if bits == BITS["int8"]:
            scales[some] = _scales(np.abs(chunk).max(axis=1, keepdims=True) / top)
        else:
            scales[some] = _least_error_scales(chunk, top)
        integers[some] = _rounded(chunk, scales[some], top)
    return integers, scales


def _least_error_scales(weight: Array, top: int) -> Array:
    largest = np.abs(weight).argmax(axis=1, keepdims=True)
    extreme = np.take_along_axis(weight, largest, axis=1)
    candidates = np.stack([_scales(extreme / -steps) for steps in CLIPPINGS])
    errors = [
        np.square(weight - _rounded(weight, scale, top) * scale).sum(axis=1, keepdims=True)
        for scale in candidates
    ]
    best: Array = np.take_along_axis(candidates, np.argmin(errors, axis=0)[None], axis=0)[0]
    return best


def _scales(steps: Array) -> Array:
    """As float16 holds them; none may be nought."""
    tiny = np.finfo(np.float16).smallest_subnormal
    rounded = steps.astype(np.float16).astype(np.float32)
    return np.where(np.abs(rounded) < tiny, np.float32(tiny), rounded)


def _rounded(weight: Array, scale: Array, top: int) -> Array:
    result: Array = np.clip(np.rint(weight / scale), -top - 1, top)
    return result
