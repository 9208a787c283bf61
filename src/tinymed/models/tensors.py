"""The tensors of a checkpoint's safetensors files, read as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinymed.errors import ModelError
from tinymed.models.headers.safetensors_header import check_safetensors

Array = npt.NDArray[np.float32]

_DTYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "F64": np.float64}


_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header."""


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    start: int
    """Of the tensor's bytes, from the file's beginning."""
    dtype: str
    shape: tuple[int, ...]


class StoredTensors(Mapping[str, Array]):
    """Tensors by name, in float32; each access reads the file anew, so that none is kept.

    A checkpoint can then be larger than the memory.
    """

    def __init__(self, places: Mapping[str, _Place]) -> None:
        self._places = dict(places)

    def __getitem__(self, name: str) -> Array:
        """Read one tensor."""
        place = self._places[name]
        dtype = _DTYPES[place.dtype]
        count = int(np.prod(place.shape, dtype=np.int64))
        with place.path.open("rb") as file:
            file.seek(place.start)
            values = np.fromfile(file, dtype=dtype, count=count).reshape(place.shape)
        if place.dtype == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, without reading it."""
        return self._places[name].shape

    def under(self, prefix: str, *, to: str = "") -> StoredTensors:
        """The tensors whose names begin with `prefix`, with `to` in its place."""
        return StoredTensors(
            {
                to + name.removeprefix(prefix): place
                for name, place in self._places.items()
                if name.startswith(prefix)
            }
        )

    def joined(self, other: StoredTensors) -> StoredTensors:
        """These tensors and others'."""
        return StoredTensors(self._places | other._places)


def open_tensors(folder: Path) -> StoredTensors:
    """Open every safetensors file of a checkpoint; headers are checked, no weight is read.

    Raises:
        ModelError: If there is none, one is damaged, a tensor stands in two of them, or one
            holds numbers of a kind that is no plain weight.
    """
    places: dict[str, _Place] = {}
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"'{folder}' holds no safetensors file.")
    for path in files:
        header = check_safetensors(path)
        with path.open("rb") as file:
            first = _LENGTH_BYTES + int.from_bytes(file.read(_LENGTH_BYTES), "little")
        for name, tensor in header.tensors.items():
            if name in places:
                raise ModelError(
                    f"The tensor '{name}' stands in '{places[name].path.name}' and in "
                    f"'{path.name}' of '{folder}'; remove the file that does not belong there."
                )
            if tensor.dtype not in _DTYPES:
                raise ModelError(
                    f"The tensor '{name}' of '{path}' holds {tensor.dtype}; a checkpoint to "
                    "build from holds 16- or 32-bit floats. Take the one that was not quantized."
                )
            places[name] = _Place(path, first + tensor.start, tensor.dtype, tensor.shape)
    return StoredTensors(places)
