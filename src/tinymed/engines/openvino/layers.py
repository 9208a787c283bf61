"""The layers both graphs are made of, from numpy arrays to OpenVINO nodes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as opset
from openvino._offline_transformations import compress_model_transformation

from tinymed.engines.rounding import BITS, group_size, quantize_rows

Array = npt.NDArray[np.float32]
Precision = Literal["f32", "f16", "int8", "int4"]

SAME = 0
"""In a shape: as long as the axis in its place was."""

_WHOLE: Mapping[str, Precision] = MappingProxyType({})


class Store:
    """How the matrices of one part of a model are kept, and a count of what they take."""

    def __init__(self, precision: Precision, *, keep: Mapping[str, Precision] = _WHOLE) -> None:
        """Begin with nothing stored.

        Args:
            precision: Of every matrix but those in `keep`.
            keep: Precisions of matrices that are to have more bits, by the last word of their
                names ("down_proj").
        """
        self.precision: Precision = precision
        self.kept: list[str] = []
        self.num_weights = 0
        self.num_bytes = 0
        self._keep = keep

    def linear(self, values: Any, weight: Array, name: str, bias: Array | None = None) -> Any:
        """Multiply by a weight of shape (output, input), and add a bias."""
        product = product_with(values, self.weight(weight, name))
        return product if bias is None else opset.add(product, self.vector(bias))

    def vector(self, values: Array) -> Any:
        """A bias or a norm's weight: always float32."""
        self._count(values.size, values.size * 4)
        return opset.constant(np.ascontiguousarray(values, dtype=np.float32))

    def weight(self, weight: Array, name: str) -> Any:
        """A float32 node over a matrix that is kept in the file as its precision says."""
        precision = self._keep.get(name.rpartition(".")[2], self.precision)
        if precision != self.precision:
            self.kept.append(name)
        return self.as_precision(weight, precision)

    def convolution(self, weight: Array) -> Any:
        """A float32 node over a convolution's weight: 16 bits in quantized parts."""
        return self.as_precision(weight, "f32" if self.precision == "f32" else "f16")

    def as_precision(self, weight: Array, precision: Precision) -> Any:
        """A float32 node over a weight that is kept as `precision` says."""
        if precision == "f32":
            self._count(weight.size, weight.size * 4)
            return opset.constant(np.ascontiguousarray(weight))
        if precision == "f16":
            node = _in_sixteen_bits(weight)
            is_halved = node.get_node().get_type_name() == "Convert"
            self._count(weight.size, weight.size * (2 if is_halved else 4))
            return node
        num_rows, width = weight.shape
        group = group_size(width, precision)
        grouped = [num_rows, width // group, group]
        quantized, scale = quantize_rows(weight.reshape(-1, group), bits=BITS[precision])
        self._count(weight.size, weight.size * BITS[precision] // 8 + scale.size * 2)
        whole = [num_rows, width]
        constant = _integers_of(quantized, whole if group == width else grouped, precision)
        scales = scale.astype(np.float16).reshape([-1, 1] if group == width else [*grouped[:2], 1])
        # The form a plugin recognizes as compressed and keeps so in memory.
        scaled = opset.multiply(opset.convert(constant, "f16"), opset.constant(scales))
        if group != width:
            scaled = reshape(scaled, whole)
        return opset.convert(scaled, "f32")

    def _count(self, num_weights: int, num_bytes: int) -> None:
        self.num_weights += num_weights
        self.num_bytes += num_bytes


def _in_sixteen_bits(weight: Array) -> Any:
    """A float32 node over a float16 constant, which a plugin may keep so in memory.

    OpenVINO marks the conversions that it adds itself. Others, which are all that Python can
    make, it computes at load once and for all: 200 MiB more in `nano`. A weight that float16
    cannot hold stays in 32 bits.
    """
    model = ov.Model([opset.result(opset.constant(np.ascontiguousarray(weight)))], [], "weight")
    compress_model_transformation(model)
    widened = model.get_results()[0].input_value(0)
    widened.get_tensor().set_names(set())  # a result's name counts up, and would be written
    return widened


def _integers_of(values: npt.NDArray[np.int8], shape: list[int], precision: Precision) -> Any:
    if precision == "int8":
        return opset.constant(values.reshape(shape))
    flat = values.reshape(-1)
    packed = ((flat[0::2] & 15) | ((flat[1::2] & 15) << 4)).astype(np.uint8)
    tensor = ov.Tensor(packed, ov.Shape(shape), ov.Type.i4)
    # A node that shared its memory with an array of Python's would read it after its end.
    return ov.op.Constant(tensor, shared_memory=False)


def product_with(values: Any, weight: Any) -> Any:
    """Multiply by a weight node of shape (output, input)."""
    return opset.matmul(values, weight, transpose_a=False, transpose_b=True)


def integers(values: int | list[int]) -> Any:
    """A constant of 64-bit integers: a shape, axes, bounds."""
    return opset.constant(np.array(values, dtype=np.int64))


def rms_norm(values: Any, weight: Any, epsilon: float) -> Any:
    """Root-mean-square norm over the last axis, in the form that plugins fuse; weight is a node."""
    square = opset.power(values, opset.constant(np.float32(2)))
    mean = opset.reduce_mean(square, integers([-1]), True)
    root = opset.sqrt(opset.add(mean, opset.constant(np.float32(epsilon))))
    inverse = opset.divide(opset.constant(np.float32(1)), root)
    return opset.multiply(weight, opset.multiply(values, inverse))


def layer_norm(values: Any, weight: Any, bias: Any, epsilon: float) -> Any:
    """Layer norm over the last axis; weight and bias are nodes."""
    normal = opset.mvn(values, integers([-1]), True, epsilon, "inside_sqrt")
    return opset.add(opset.multiply(normal, weight), bias)


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
