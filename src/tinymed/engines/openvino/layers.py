"""The layers both graphs are made of, from numpy arrays to OpenVINO nodes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from openvino import opset13 as opset

Array = npt.NDArray[np.float32]
Precision = Literal["f32", "f16", "int8"]

INT8_MAX = 127
SAME = 0
"""In a shape: as long as the axis in its place was."""
GROUP_SIZE = 128
"""Inputs that share a scale in int8, in matrices whose width it divides; elsewhere a row does.
Halves the error of the image tokens against whole rows, at no time and 3 MiB."""


def linear(values: Any, weight: Array, precision: Precision, bias: Array | None = None) -> Any:
    """Multiply by a weight of shape (output, input), stored as `precision` says."""
    product = product_with(values, stored_weight(weight, precision))
    return product if bias is None else opset.add(product, opset.constant(bias))


def product_with(values: Any, weight: Any) -> Any:
    """Multiply by a weight node of shape (output, input)."""
    return opset.matmul(values, weight, transpose_a=False, transpose_b=True)


def stored_weight(weight: Array, precision: Precision) -> Any:
    """A float32 node over a weight that is kept in the file as `precision` says."""
    if precision == "f32":
        return opset.constant(np.ascontiguousarray(weight))
    if precision == "f16":
        return opset.convert(opset.constant(weight.astype(np.float16)), "f32")
    num_rows, width = weight.shape
    group = GROUP_SIZE if width % GROUP_SIZE == 0 else width
    quantized, scale = quantize_rows(weight.reshape(-1, group))
    if group == width:
        return _dequantized(quantized, scale)
    grouped = [num_rows, width // group, group]
    return reshape(
        _dequantized(quantized.reshape(grouped), scale.reshape([*grouped[:2], 1])),
        [num_rows, width],
    )


def _dequantized(quantized: npt.NDArray[np.int8], scale: Array) -> Any:
    # The form a plugin recognizes as compressed and keeps so in memory.
    return opset.multiply(opset.convert(opset.constant(quantized), "f32"), opset.constant(scale))


def quantize_rows(weight: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Symmetric 8-bit values of shape (output, input) and one scale a row, (output, 1).

    >>> values, scale = quantize_rows(np.float32([[1.0, -2.0], [0.0, 0.0]]))
    >>> values.tolist()
    [[64, -127], [0, 0]]
    """
    largest = np.abs(weight).max(axis=1, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / INT8_MAX).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def integers(values: int | list[int]) -> Any:
    """A constant of 64-bit integers: a shape, axes, bounds."""
    return opset.constant(np.array(values, dtype=np.int64))


def rms_norm(values: Any, weight: Array, epsilon: float) -> Any:
    """Root-mean-square norm over the last axis, in the form that plugins fuse."""
    square = opset.power(values, opset.constant(np.float32(2)))
    mean = opset.reduce_mean(square, integers([-1]), True)
    root = opset.sqrt(opset.add(mean, opset.constant(np.float32(epsilon))))
    inverse = opset.divide(opset.constant(np.float32(1)), root)
    return opset.multiply(opset.constant(weight), opset.multiply(values, inverse))


def layer_norm(values: Any, weight: Array, bias: Array, epsilon: float) -> Any:
    """Layer norm over the last axis."""
    normal = opset.mvn(values, integers([-1]), True, epsilon, "inside_sqrt")
    return opset.add(opset.multiply(normal, opset.constant(weight)), opset.constant(bias))


def reshape(values: Any, shape: list[int]) -> Any:
    """Reshape; one axis may be -1, and SAME keeps an axis as long as it is."""
    return opset.reshape(values, integers(shape), True)


def transpose(values: Any, order: list[int]) -> Any:
    """Reorder the axes."""
    return opset.transpose(values, integers(order))


def slice_axis(values: Any, start: int, stop: int, axis: int) -> Any:
    """Positions `start` to `stop` of one axis."""
    bounds = [integers([number]) for number in (start, stop, 1, axis)]
    return opset.slice(values, *bounds)


def split_axis(values: Any, sizes: list[int], axis: int) -> list[Any]:
    """Cut one axis into parts of the given sizes."""
    parts = opset.variadic_split(values, integers(axis), integers(sizes))
    return list(parts.outputs())
