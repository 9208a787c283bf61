"""Which tensors a file of a native build holds, and in what shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinymed.engines.native.ops import Floats
from tinymed.engines.native.packed import PackedMatrix, packed_shape
from tinymed.errors import ModelError

DTYPES: dict[str, Any] = {"U8": np.uint8, "F16": np.float16, "F32": np.float32}
"""By their names in a safetensors file; all that a build's files hold."""

_DTYPE_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A packed matrix, and a bias where it has one."""

    bits: int
    rows: int
    columns: int
    has_bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTensor:
    """A tensor that is no packed matrix: a norm's weight, positions, patches."""

    shape: tuple[int, ...]
    dtype: Literal["F16", "F32"] = "F32"


Layout = Mapping[str, Matrix | PlainTensor]
"""Matrices by the names of their modules, other tensors by their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTensor:
    """A tensor as a file holds it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Without what stands between tensors."""
        size: int = np.dtype(DTYPES[self.dtype]).itemsize
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """A file's tensors, each in its place."""

    matrices: Mapping[str, PackedMatrix]
    plain: Mapping[str, Floats]
    """In float32, however they were stored."""


def file_tensors(layout: Layout) -> dict[str, FileTensor]:
    """What a file of this layout holds: a matrix as NAME.weight and NAME.bias.

    >>> list(file_tensors({"fc": Matrix(bits=8, rows=4, columns=8, has_bias=True)}))
    ['fc.weight', 'fc.bias']
    """
    held = {}
    for name, kind in layout.items():
        if isinstance(kind, PlainTensor):
            held[name] = FileTensor(dtype=kind.dtype, shape=kind.shape)
            continue
        shape = packed_shape(kind.bits, kind.rows, kind.columns)
        held[f"{name}.weight"] = FileTensor(dtype="U8", shape=shape)
        if kind.has_bias:
            held[f"{name}.bias"] = FileTensor(dtype="F32", shape=(kind.rows,))
    return held


def num_weights(layout: Layout) -> int:
    """Numbers that a layout's tensors stand for, without what fills matrices up."""
    total = 0
    for kind in layout.values():
        if isinstance(kind, PlainTensor):
            total += int(np.prod(kind.shape, dtype=np.int64))
        else:
            total += kind.rows * (kind.columns + kind.has_bias)
    return total


def num_bytes(layout: Layout) -> int:
    """What a layout's tensors take in a file."""
    return sum(tensor.num_bytes for tensor in file_tensors(layout).values())


def placed(arrays: Arrays, layout: Layout, path: Path) -> Tensors:
    """Give every tensor of a file its place.

    Raises:
        ModelError: If one is missing, left over, or of another type or shape, by name.
    """
    expected = file_tensors(layout)
    found = {
        name: FileTensor(dtype=_DTYPE_NAMES[values.dtype], shape=values.shape)
        for name, values in arrays.items()
    }
    missing = sorted(set(expected) - set(found))
    strange = sorted(set(found) - set(expected))
    other = sorted(name for name in expected if found.get(name, expected[name]) != expected[name])
    if missing or strange or other:
        raise ModelError(
            f"'{path}' does not fit: {len(missing)} tensors are missing (first: {missing[:3]}), "
            f"{len(strange)} have no place (first: {strange[:3]}) and {len(other)} have another "
            f"shape or type than they should (first: {other[:3]}); build it again."
        )
    return Tensors(
        matrices={
            name: PackedMatrix(
                bits=kind.bits,
                rows=kind.rows,
                columns=kind.columns,
                data=arrays[f"{name}.weight"],
                bias=arrays[f"{name}.bias"] if kind.has_bias else None,
            )
            for name, kind in layout.items()
            if isinstance(kind, Matrix)
        },
        plain={
            name: arrays[name].astype(np.float32, copy=False)
            for name, kind in layout.items()
            if isinstance(kind, PlainTensor)
        },
    )
