"""The embedding table: looked up row by row from a mapped file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.engines.rounding import Array, group_size, is_quantized, quantize_rows

EMBEDDING = "embedding.npy"
"""The table's file in a build."""


def save_embedding(table: Array, path: Path, *, precision: str) -> None:
    """Write a table of shape (vocabulary, hidden) as a numpy file.

    Args:
        table: A row a token.
        path: Where it goes.
        precision: Of the language model. 8 and 4 bits both store the table in 8: each row's
            integers with their scales behind them, so that a look-up reads one place.
    """
    np.save(
        path, _in_eight_bits(table) if is_quantized(precision) else _as_floats(table, precision)
    )


def look_up(table: npt.NDArray[Any], ids: npt.ArrayLike) -> Array:
    """Rows of a table as `save_embedding` wrote it, in float32: (*shape of ids, hidden)."""
    rows = table[np.asarray(ids)]
    if rows.dtype.names is None:
        return np.asarray(rows, dtype=np.float32)
    scales = rows["scales"].astype(np.float32)
    values = rows["values"].reshape(*scales.shape, -1) * scales[..., None]
    result: Array = values.reshape(*rows.shape, -1)
    return result


def _as_floats(table: Array, precision: str) -> npt.NDArray[Any]:
    return table.astype(np.float32 if precision == "f32" else np.float16)


def _in_eight_bits(table: Array) -> npt.NDArray[Any]:
    num_rows, width = table.shape
    group = group_size(width, "int8")
    values, scales = quantize_rows(table.reshape(-1, group), bits=8)
    fields = [("values", np.int8, (width,)), ("scales", "<f2", (width // group,))]
    rows = np.empty(num_rows, dtype=fields)
    rows["values"] = values.reshape(num_rows, width)
    rows["scales"] = scales.reshape(num_rows, -1)
    return rows
