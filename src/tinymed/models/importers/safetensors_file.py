"""A safetensors file written one tensor at a time: memory holds one, however large the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tinymed.errors import ModelError
from tinymed.models.headers.safetensors_start import safetensors_start
from tinymed.runs import sync_folder

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors calls torch's types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFacts:
    """What a tensor will be like."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        """Size of its values."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def write_safetensors(
    path: Path,
    tensors: Sequence[TensorFacts],
    value_of: Callable[[TensorFacts], torch.Tensor],
    *,
    on_written: Callable[[int], None],
) -> None:
    """Write a file whole or not at all, on the disk before the call returns.

    Args:
        path: The file; replaced if there is one.
        tensors: Its tensors, in the order in which they are asked for and written.
        value_of: Gives one tensor's values.
        on_written: Told the bytes of each tensor once they are written.

    Raises:
        ModelError: If a type has no name in safetensors.
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(_start(tensors))
        for facts in tensors:
            value = value_of(facts).contiguous()
            assert (tuple(value.shape), value.dtype) == (facts.shape, facts.dtype), facts
            file.write(value.reshape(-1).view(torch.uint8).numpy().data)
            on_written(facts.num_bytes)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def _start(tensors: Sequence[TensorFacts]) -> bytes:
    for facts in tensors:
        if facts.dtype not in NAMES:
            raise ModelError(f"'{facts.name}' is {facts.dtype}, which safetensors cannot hold.")
    rows = ((one.name, NAMES[one.dtype], one.shape, one.num_bytes) for one in tensors)
    return safetensors_start(rows, {"format": "pt"})
