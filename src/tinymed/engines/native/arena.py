"""A safetensors file in one piece of memory: large pages, every tensor on its own cache line.

The processor looks up where a page of memory is, and large pages make far fewer look-ups: the
weights are read from one end to the other for each token.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.engines.native.layout import DTYPES
from tinymed.engines.native.packed import ALIGNMENT
from tinymed.errors import ModelError
from tinymed.models.headers.safetensors_header import SafetensorsHeader, check_safetensors

READING_THREADS = 4
BYTES_AT_ONCE = 16 * 2**20
"""What a thread reads in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a file holds."""

    tensors: dict[str, npt.NDArray[Any]]
    """Read-only, each at a multiple of 64 bytes."""
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Bytes to be read: from where in the file to where in the memory."""

    file_start: int
    start: int
    end: int


def load_arena(path: Path) -> Loaded:
    """Read a file whose tensors are bytes or floats.

    Raises:
        ModelError: If it cannot be read, is damaged, or holds tensors of another type.
    """
    header = check_safetensors(path)
    strange = sorted(n for n, tensor in header.tensors.items() if tensor.dtype not in DTYPES)
    if strange:
        raise ModelError(
            f"'{path}' holds {len(strange)} tensors of a type that no build has (first: "
            f"{strange[:3]}); build it again."
        )
    starts, num_bytes = _places(header)
    memory = _memory(num_bytes)
    try:
        _read(path, memory, list(_pieces(path, header, starts)))
    except OSError as error:
        raise ModelError(f"Cannot read '{path}': {error.strerror or error}.") from error
    tensors = {}
    for name, tensor in header.tensors.items():
        dtype = np.dtype(DTYPES[tensor.dtype])
        count = (tensor.end - tensor.start) // dtype.itemsize
        values = np.frombuffer(memory, dtype, count, starts[name]).reshape(tensor.shape)
        values.flags.writeable = False
        tensors[name] = values
    return Loaded(tensors=tensors, metadata=header.metadata)


def _places(header: SafetensorsHeader) -> tuple[dict[str, int], int]:
    """Where each tensor goes, and how much memory all take."""
    starts, end = {}, 0
    for name, tensor in header.tensors.items():
        starts[name] = -(-end // ALIGNMENT) * ALIGNMENT
        end = starts[name] + tensor.end - tensor.start
    return starts, end


def _memory(num_bytes: int) -> mmap.mmap:
    size = max(num_bytes, 1)
    if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
        return mmap.mmap(-1, size)
    # Shared memory, the default, has its own rules for large pages: mostly none.
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages costs time, nothing else
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _pieces(path: Path, header: SafetensorsHeader, starts: dict[str, int]) -> Iterator[_Piece]:
    in_file = path.stat().st_size - max((t.end for t in header.tensors.values()), default=0)
    for name, tensor in header.tensors.items():
        size = tensor.end - tensor.start
        for done in range(0, size, BYTES_AT_ONCE):
            start = starts[name] + done
            yield _Piece(
                file_start=in_file + tensor.start + done,
                start=start,
                end=start + min(BYTES_AT_ONCE, size - done),
            )


def _read(path: Path, memory: mmap.mmap, pieces: list[_Piece]) -> None:
    view = memoryview(memory)

    def read(piece: _Piece) -> None:
        with path.open("rb", buffering=0) as file:
            file.seek(piece.file_start)
            position = piece.start
            while position < piece.end:
                count = file.readinto(view[position : piece.end])
                if not count:
                    raise OSError(None, "it ends before its header says")
                position += count

    with ThreadPoolExecutor(READING_THREADS) as threads:
        for _ in threads.map(read, pieces):
            pass
