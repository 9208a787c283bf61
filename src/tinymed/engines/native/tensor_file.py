"""Writing a safetensors file tensor by tensor: its header is known before any of them is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.engines.native.layout import DTYPES, Layout, file_tensors
from tinymed.errors import ModelError
from tinymed.models.headers.safetensors_start import safetensors_start

Make = Callable[[str], npt.NDArray[Any]]
"""Makes the tensor of a name; it is let go once it is written."""

CONFIG = "config"
"""The one key of a file's metadata: several would need an order of their own."""


def write_tensors(path: Path, layout: Layout, make: Make, *, config: Mapping[str, Any]) -> None:
    """Write a file; the same tensors and config always give the same bytes.

    Args:
        path: Where it goes.
        layout: Which tensors it holds.
        make: Makes them, in the layout's order.
        config: What whoever reads the file must know, as rows of JSON.
    """
    held = file_tensors(layout)
    rows = ((name, one.dtype, one.shape, one.num_bytes) for name, one in held.items())
    with path.open("wb") as file:
        file.write(safetensors_start(rows, {CONFIG: json.dumps(config, sort_keys=True)}))
        for name, tensor in held.items():
            values = _as_stored(make(name), tensor.dtype, name)
            assert values.shape == tensor.shape, (name, values.shape, tensor.shape)
            values.tofile(file)


def read_config(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """What a file was written with as `config`.

    Raises:
        ModelError: If it has none.
    """
    try:
        config: dict[str, Any] = json.loads(metadata[CONFIG])
    except (KeyError, ValueError) as error:
        raise ModelError(f"'{path}' does not say what it holds; build it again.") from error
    return config


def _as_stored(values: npt.NDArray[Any], dtype: str, name: str) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype=DTYPES[dtype])
    if not np.isfinite(stored).all():
        raise ModelError(f"The tensor '{name}' holds numbers that {dtype} cannot hold.")
    return stored
