"""What an importer is given, what it knows, and what it plans before any weight is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tinymed.errors import ModelError

BASE = "base:"
"""Before a tensor's name in `TensorPlan.sources`: it lies in `Source.base`."""
VISION = "vision:"
"""Before a tensor's name in `TensorPlan.sources`: it lies in `Source.vision`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the published files lie."""

    folder: Path
    """The original checkpoint."""
    base: Path | None = None
    """The weights that delta weights are added to; for nothing else."""
    vision: Path | None = None
    """A stock vision encoder, as a transformers folder, where the checkpoint lacks one."""
    tokenizer: Path | None = None
    """A folder with a tokenizer, where the checkpoint lacks one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """One tensor of the result.

    `make` is first called with tensors on torch's meta device, so that every shape is known
    before a weight is read: it may use nothing but torch's operations on what it is given.
    """

    name: str
    """Its name in the state dict of the transformers class."""
    sources: tuple[str, ...]
    """Names in the original; behind `BASE` or `VISION` in the other folders."""
    make: Callable[[list[torch.Tensor]], torch.Tensor]
    """Makes it of the sources, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerChanges:
    """What the original code does to the tokenizer when it loads, and the image token."""

    added: tuple[str, ...] = ()
    """Special tokens that get the next free ids, in this order; those it knows are left."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Values of tokenizer_config.json such as {"pad_token": "<unk>"}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """Everything that will be written; no weight is read before it is complete."""

    config: dict[str, Any]
    """config.json of a plain transformers model."""
    processor: dict[str, dict[str, Any]]
    """Content of preprocessor_config.json, processor_config.json, generation_config.json."""
    tokenizer_files: tuple[Path, ...]
    tokenizer_changes: TokenizerChanges = field(default_factory=TokenizerChanges)
    chat_template: str
    """Jinja that makes exactly the published prompt; written as chat_template.jinja."""
    tensors: tuple[TensorPlan, ...]
    leftovers: Mapping[str, str] = field(default_factory=dict)
    """Source tensors that have no place in the result, by exact name, each with the reason."""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    """What is done to an image, for engines without transformers; kept in import.json."""
    stop_strings: tuple[str, ...] = ()
    """Text that ends an answer where no token does; kept in import.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A way in which checkpoints were published."""

    name: str
    description: str
    """One line."""
    recognise: Callable[[dict[str, Any], Path], bool]
    """Whether config.json's exact fields, and files in the folder, are this layout's.

    Looks at no folder's name.
    """
    plan: Callable[[Source], ImportPlan] | None
    """None where the folder already is what transformers loads: it is copied as it is."""


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a checkpoint.

    Raises:
        ModelError: If the file is missing or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"'{path.parent}' holds no {path.name}. Name the checkpoint's own folder, complete."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"'{path}' cannot be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ModelError(f"'{path}' holds no JSON object. Fetch the checkpoint again.")
    return value


def required(config: Mapping[str, Any], key: str, path: Path) -> Any:
    """A value that a config must have.

    Raises:
        ModelError: If it has none.
    """
    if key not in config:
        raise ModelError(f"'{path / 'config.json'}' has no '{key}', which this layout must have.")
    return config[key]


def refuse_other(
    config: Mapping[str, Any], wanted: Mapping[str, tuple[Any, ...]], path: Path
) -> None:
    """Refuse a checkpoint that says of itself what this layout does not do.

    Raises:
        ModelError: Names the key, its value and what it may be; a missing key is None.
    """
    for key, values in wanted.items():
        if config.get(key) not in values:
            may_be = " or ".join(map(repr, values))
            raise ModelError(
                f"'{path / 'config.json'}' has {key} {config.get(key)!r}; this layout is imported "
                f"with {may_be} only."
            )
