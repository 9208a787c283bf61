"""Tensors out of a checkpoint in torch's first file format, without torch and without trust.

The format is a pickle followed by raw arrays. A pickle can name any function to call: this
reader knows four names and refuses every other, so nothing in a file is ever executed. Only
encoders that exist in no other form are read so; weights of ours are safetensors.

Source:
    torch/serialization.py, `_legacy_load`, of torch 1.5 to 2.13.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.errors import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
COUNT_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Kind:
    """A storage type of torch, as numpy's."""

    dtype: npt.DTypeLike


@dataclass(slots=True)
class _Tensor:
    """A tensor whose array has not been read yet."""

    key: str
    kind: _Kind
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_file(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read a state dict.

    Raises:
        ModelError: If the file is of another format, damaged, or names anything beside
            tensors.
    """
    try:
        with path.open("rb") as file:
            if _Unpickler(file).load() != MAGIC:
                raise pickle.UnpicklingError("it is of another format")  # noqa: TRY301
            _Unpickler(file).load()  # protocol
            _Unpickler(file).load()  # about the machine that wrote it
            tensors = _Unpickler(file).load()
            keys = _Unpickler(file).load()
            arrays = _read_arrays(file, keys, {t.key: t.kind for t in tensors.values()})
        return {name: _array(tensor, arrays[tensor.key]) for name, tensor in tensors.items()}
    except Exception as error:  # a damaged pickle can raise anything; one sentence for all
        raise ModelError(f"'{path}' is not a readable torch checkpoint: {error}.") from error


class _Unpickler(pickle.Unpickler):
    """Builds tensors' descriptions and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch", "FloatStorage"): _Kind(np.float32),
            ("torch", "LongStorage"): _Kind(np.int64),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it names '{module}.{name}', which is no tensor")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, _Kind]:
        _storage, kind, key, *_rest = pid
        return str(key), kind


def _rebuild_tensor(
    storage: tuple[str, _Kind],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_rest: Any,
) -> _Tensor:
    return _Tensor(*storage, offset, tuple(shape), tuple(strides))


def _read_arrays(
    file: io.BufferedReader, keys: list[str], kinds: dict[str, _Kind]
) -> dict[str, npt.NDArray[Any]]:
    arrays = {}
    for key in keys:
        count = int.from_bytes(file.read(COUNT_BYTES), "little")
        dtype = np.dtype(kinds[str(key)].dtype)
        content = file.read(count * dtype.itemsize)
        if len(content) != count * dtype.itemsize:
            raise ValueError("it ends inside a tensor")
        arrays[str(key)] = np.frombuffer(content, dtype=dtype)
    return arrays


def _array(tensor: _Tensor, storage: npt.NDArray[Any]) -> npt.NDArray[Any]:
    reach = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    steps_back = any(step < 0 for step in tensor.strides)
    if steps_back or tensor.offset < 0 or tensor.offset + reach >= len(storage):
        raise ValueError("a tensor reaches outside its storage")
    strides = [step * storage.itemsize for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides)
    return np.ascontiguousarray(view)
