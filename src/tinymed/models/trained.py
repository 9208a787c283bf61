"""The file that training makes: a connector and a low-rank adapter, in safetensors.

Tensor names: `connector.NAME`, and `language.LAYER.lora_A` / `.lora_B` with the language
model's module names. Metadata: format, rank, alpha, and the digest of the recipe's run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from tinymed.errors import ModelError
from tinymed.models.headers.safetensors_header import check_safetensors

Array = npt.NDArray[np.float32]

FORMAT = "tinymed-trained-1"
CONNECTOR = "connector."
LANGUAGE = "language."


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What was trained."""

    connector: dict[str, Array]
    adapter: dict[str, tuple[Array, Array]]
    """(A, B) by module: shapes (rank, in) and (out, rank)."""
    rank: int
    alpha: float


def read_trained(path: Path) -> Trained:
    """Read a trained file; every tensor in it is placed, or the load fails with its name.

    Raises:
        ModelError: If it is missing, damaged or of another format.
    """
    check_safetensors(path)
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: _float32(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"'{path}' is not a readable safetensors file: {error}.") from error
    if metadata.get("format") != FORMAT:
        raise ModelError(f"'{path}' has the format {metadata.get('format')!r}; needed: {FORMAT!r}.")
    connector = {}
    halves: dict[str, dict[str, Array]] = {}
    for name, values in tensors.items():
        module, _, kind = name.rpartition(".")
        if name.startswith(CONNECTOR):
            connector[name.removeprefix(CONNECTOR)] = values
        elif name.startswith(LANGUAGE) and kind in ("lora_A", "lora_B"):
            halves.setdefault(module.removeprefix(LANGUAGE), {})[kind] = values
        else:
            raise ModelError(f"'{path}': no place for the tensor '{name}'.")
    torn = [module for module, pair in halves.items() if len(pair) != 2]  # noqa: PLR2004
    if torn:
        raise ModelError(f"'{path}': half of the adapter of {torn[:3]} is missing.")
    return Trained(
        connector=connector,
        adapter={module: (pair["lora_A"], pair["lora_B"]) for module, pair in halves.items()},
        rank=int(json.loads(metadata["rank"])),
        alpha=float(json.loads(metadata["alpha"])),
    )


def merge(tensors: dict[str, Array], trained: Trained) -> dict[str, Array]:
    """The language model with the adapter added in: W + B A alpha / rank.

    Raises:
        ModelError: If the adapter names a module that the language model does not have.
    """
    merged = dict(tensors)
    for module, (a, b) in trained.adapter.items():
        name = f"{module}.weight"
        if name not in merged or merged[name].shape != (b.shape[0], a.shape[1]):
            raise ModelError(f"The adapter's '{module}' does not fit the language model.")
        merged[name] = merged[name] + (b @ a) * np.float32(trained.alpha / trained.rank)
    return merged


def _float32(values: npt.NDArray[np.generic]) -> Array:
    return np.ascontiguousarray(values, dtype=np.float32)
