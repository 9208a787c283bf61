"""Every weight of a model, joined from its parts and what was trained."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tinymed.errors import ModelError
from tinymed.models.cache import cache_folder, part_path
from tinymed.models.language_gguf import (
    Array,
    LanguageConfig,
    language_config,
    language_tensors,
    open_gguf,
)
from tinymed.models.manifest import Manifest
from tinymed.models.prompt import Prompt, build_prompt
from tinymed.models.tokenizer import tokenizer_from_gguf
from tinymed.models.trained import merge, read_trained
from tinymed.runs import sha256_of, write_bytes

TOKENIZER_FORMAT = 1
"""Raised whenever `tokenizer_from_gguf` makes another tokenizer of the same file."""

CONNECTOR_NAMES = (
    "layernorm.weight",
    "layernorm.bias",
    "linear_1.weight",
    "linear_1.bias",
    "linear_2.weight",
    "linear_2.bias",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWeights:
    """A model in numpy, adapter merged, ready to be built for an engine."""

    manifest: Manifest
    language: dict[str, Array]
    """transformers' Llama names without "model."; the adapter is already added in."""
    language_config: LanguageConfig
    connector: dict[str, Array]
    """transformers' AyaVisionMultiModalProjector names."""
    vision_encoder: str
    """A name in `tinymed.models.parts.VISION_ENCODERS`."""
    vision_file: Path
    fold: int
    """Patches along one side that the connector folds into one image token."""
    digest: str
    """sha256 over every weight."""


def weights_digest(manifest: Manifest) -> str:
    """sha256 over the hashes of everything a model is made of; costs no reading of weights."""
    hashes = [*(part.sha256 for part in manifest.parts), manifest.trained_sha256]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def load_weights(manifest: Manifest) -> ModelWeights:
    """Load and join every weight; parts must be in the cache.

    Every tensor of every file is placed and every tensor of the model is found, or the
    load fails with the names.

    Raises:
        ModelError: If a file is missing, damaged or does not fit.
    """
    trained_path = manifest.folder / manifest.trained_file
    if not trained_path.is_file():
        raise ModelError(
            f"The trained weights of '{manifest.name}' are missing: no file '{trained_path}'."
        )
    if sha256_of(trained_path) != manifest.trained_sha256:
        raise ModelError(
            f"'{trained_path}' is not the file its manifest names (sha256 differs). "
            "Install tinymed again, or train again."
        )
    trained = read_trained(trained_path)
    absent = sorted(set(CONNECTOR_NAMES) ^ set(trained.connector))
    if absent:
        raise ModelError(f"'{trained_path}': the connector's tensors do not fit: {absent}.")
    reader = open_gguf(part_path(manifest.part("language_model")))
    config = language_config(reader)
    tensors = merge(language_tensors(reader, config), trained)
    return ModelWeights(
        manifest=manifest,
        language={name: np.ascontiguousarray(values) for name, values in tensors.items()},
        language_config=config,
        connector=trained.connector,
        vision_encoder=manifest.vision_encoder,
        vision_file=part_path(manifest.part("vision_encoder")),
        fold=manifest.fold,
        digest=weights_digest(manifest),
    )


def load_prompt(manifest: Manifest) -> Prompt:
    """The prompt of a model, with the tokenizer its language model carries.

    The tokenizer is read out of the GGUF file once (2.7 s) and kept in the cache (0.1 s).

    Raises:
        ModelError: If the language model's file is missing or damaged.
    """
    part = manifest.part("language_model")
    path = cache_folder() / "tokenizers" / f"{TOKENIZER_FORMAT}-{part.sha256}.json"
    if path.is_file():
        with suppress(Exception):  # a damaged copy is made anew
            return build_prompt(Tokenizer.from_file(str(path)))
    tokenizer = tokenizer_from_gguf(open_gguf(part_path(part)))
    with suppress(OSError):  # a read-only cache costs time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, tokenizer.to_str().encode())
    return build_prompt(tokenizer)
