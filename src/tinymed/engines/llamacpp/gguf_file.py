"""Writing a GGUF file: one tensor at a time, the same bytes every time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import quant_shape_to_byte_shape

from tinymed.engines.llamacpp.library import llama
from tinymed.models.language_gguf import Array

Type = GGMLQuantizationType
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor of the file to be, not read yet: a whole model may not fit into memory."""

    name: str
    shape: tuple[int, ...]
    stored_as: Type
    read: Callable[[], Array]

    @property
    def num_weights(self) -> int:
        """Values in it."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def num_bytes(self) -> int:
        """What it takes in the file, scales included."""
        block_weights, block_bytes = GGML_QUANT_SIZES[self.stored_as]
        return self.num_weights // block_weights * block_bytes


def write_gguf(
    path: Path,
    architecture: str,
    add_fields: Callable[[GGUFWriter], None],
    tensors: Sequence[Tensor],
) -> None:
    """Write a file; it holds no date and no version, so that the same model gives the same bytes.

    Args:
        path: Where it goes.
        architecture: Its `general.architecture`.
        add_fields: Adds every other field.
        tensors: In the order of the file.
    """
    logging.getLogger("gguf").setLevel(logging.ERROR)  # it tells of every tensor
    writer = GGUFWriter(path, architecture)
    try:
        add_fields(writer)
        for tensor in tensors:
            writer.add_tensor_info(
                tensor.name,
                tensor.shape,
                np.dtype(np.float32),
                tensor.num_bytes,
                raw_dtype=tensor.stored_as,
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            writer.write_tensor_data(stored(tensor.read(), tensor.stored_as))
    finally:
        writer.close()


def stored(values: Array, kind: Type) -> Bytes:
    """A tensor as llama.cpp stores it: bytes, shape (…, bytes of a row).

    >>> stored(np.ones((2, 32), np.float32), Type.Q8_0).shape
    (2, 34)
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    if kind == Type.F32:
        return values.view(np.uint8)
    if kind == Type.F16:
        return values.astype(np.float16).view(np.uint8)
    rows = values.reshape(-1, values.shape[-1])
    packed = np.empty(quant_shape_to_byte_shape(values.shape, kind), np.uint8)
    _quantize(rows, packed.reshape(len(rows), -1), kind)
    return packed


def _quantize(rows: Array, packed: Bytes, kind: Type) -> None:
    """Quantize rows on all processors; each row is its own, so the bytes are always the same."""
    library, num_threads = llama(), os.cpu_count() or 1
    step = max(1, -(-len(rows) // num_threads))

    def quantize(start: int) -> None:
        part = rows[start : start + step]
        library.ggml_quantize_chunk(
            int(kind), part.ctypes.data, packed[start:].ctypes.data, 0, *part.shape, None
        )

    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(quantize, range(0, len(rows), step)))
