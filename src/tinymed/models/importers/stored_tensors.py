"""The tensors of a checkpoint: names, shapes and types at once, values one at a time."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from tinymed.errors import ModelError
from tinymed.models.importers.layout import BASE, VISION, Source, read_object
from tinymed.models.importers.safetensors_file import NAMES

SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
"""What transformers looks for, in its order; each may be split, with an index beside."""

_TYPES = {name: dtype for dtype, name in NAMES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where a tensor lies and what it is like."""

    path: Path
    name: str
    """Its name in the file."""
    shape: tuple[int, ...]
    dtype: torch.dtype


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that hold a checkpoint's weights, as transformers would choose them.

    Raises:
        ModelError: If there are none, or one that the index names is missing.
    """
    for single in SINGLE_FILES:
        index = folder / f"{single}.index.json"
        if (folder / single).is_file():
            return (folder / single,)
        if index.is_file():
            return _indexed(index)
    raise ModelError(
        f"'{folder}' holds no weights: neither {' nor '.join(SINGLE_FILES)}, whole or with an "
        "index. Name the checkpoint's own folder, complete."
    )


def _indexed(index: Path) -> tuple[Path, ...]:
    placed = read_object(index).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise ModelError(f"'{index}' has no weight_map. Fetch the checkpoint again.")
    names = sorted(set(placed.values()))
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise ModelError(
            f"'{index.parent}' lacks {', '.join(missing)}, which {index.name} names. "
            "Fetch the checkpoint again."
        )
    return tuple(index.parent / name for name in names)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a checkpoint by its name.

    Raises:
        ModelError: If a file is missing, damaged, or names a tensor that another names too.
    """
    found: dict[str, StoredTensor] = {}
    for path in weight_files(folder):
        for tensor in TensorFile(path).facts():
            if tensor.name in found:
                raise ModelError(
                    f"'{tensor.name}' is both in '{found[tensor.name].path}' and in '{path}'. "
                    "Fetch the checkpoint again."
                )
            found[tensor.name] = tensor
    return found


def source_tensors(source: Source) -> dict[str, StoredTensor]:
    """Every tensor of all that an importer is given; the other folders' behind their prefix."""
    found = stored_tensors(source.folder)
    for prefix, folder in ((BASE, source.base), (VISION, source.vision)):
        if folder is not None:
            found |= {prefix + name: tensor for name, tensor in stored_tensors(folder).items()}
    return found


class TensorFile:
    """One file of weights, safetensors or torch's; never executes what is in it."""

    def __init__(self, path: Path) -> None:
        """Read the file's table, not its values."""
        self._path = path
        self._values: Mapping[str, torch.Tensor] | None = None
        self._safe: Any = None
        try:
            if path.suffix == ".safetensors":
                self._safe = safe_open(path, framework="pt")
            else:
                self._values = _tensors_of(_load(path), path)
        except (SafetensorError, OSError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ModelError(
                f"'{path}' is no readable file of weights: {str(error).splitlines()[0]} "
                "Fetch it again."
            ) from error

    def facts(self) -> list[StoredTensor]:
        """What each of its tensors is like."""
        if self._values is not None:
            return [
                StoredTensor(
                    path=self._path, name=name, shape=tuple(value.shape), dtype=value.dtype
                )
                for name, value in self._values.items()
            ]
        rows = []
        for name in self._safe.keys():  # noqa: SIM118 - it is no mapping
            part = self._safe.get_slice(name)
            kind = part.get_dtype()
            if kind not in _TYPES:
                raise ModelError(
                    f"'{name}' in '{self._path}' is of type {kind}. Import the original weights, "
                    "in 16 or 32 bits."
                )
            shape = tuple(part.get_shape())
            row = StoredTensor(path=self._path, name=name, shape=shape, dtype=_TYPES[kind])
            rows.append(row)
        return rows

    def read(self, name: str) -> torch.Tensor:
        """A tensor's values."""
        if self._values is not None:
            return self._values[name]
        tensor: torch.Tensor = self._safe.get_tensor(name)
        return tensor


def _load(path: Path) -> Any:
    """Tensors that stay on the disk until they are used; no other object is ever made."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        # Files of torch before 1.6 can only be read whole.
        return torch.load(path, map_location="cpu", weights_only=True)


def _tensors_of(value: Any, path: Path) -> dict[str, torch.Tensor]:
    if not isinstance(value, dict) or not all(
        isinstance(one, torch.Tensor) for one in value.values()
    ):
        raise ModelError(f"'{path}' holds something else than named tensors.")
    return value
