"""Every weight of a model, joined from its parts and what was trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from tinymed.errors import ModelError
from tinymed.images.prepare import Preprocessing
from tinymed.models.cache import cache_folder, part_path
from tinymed.models.language_gguf import (
    Array,
    LanguageConfig,
    language_config,
    language_tensors,
    open_gguf,
)
from tinymed.models.manifest import Manifest
from tinymed.models.prompt import CHATML, Template, build_prompt
from tinymed.models.tokenizer import tokenizer_from_gguf
from tinymed.models.trained import Trained, merge, read_trained
from tinymed.models.vit import VitConfig
from tinymed.runs import sha256_of, write_bytes

ConnectorKind = Literal["aya-vision", "llava"]

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
    """A model whatever it came from: all that an engine's files are made from."""

    name: str
    description: str
    language: Mapping[str, Array]
    """transformers' Llama names without "model."; an adapter is already added in. Not always
    kept in memory: an access may read from the disk."""
    language_config: LanguageConfig
    connector: Mapping[str, Array]
    """Names of transformers' AyaVisionMultiModalProjector or LlavaMultiModalProjector."""
    connector_kind: ConnectorKind
    connector_activation: str
    """Between a LLaVA connector's two layers: "gelu", "gelu_tanh"; "" in our own."""
    fold: int
    """Patches along one side that the connector folds into one image token."""
    vision_encoder: str
    """"efficientnet-lite2" or "dinov2-small", read from `vision_file`; "clip" or "siglip",
    made of `vision`."""
    vision_file: Path | None
    vision: Mapping[str, Array]
    """transformers' CLIPVisionModel or SiglipVisionModel names."""
    vision_config: VitConfig | None
    tokenizer: Tokenizer
    template: Template
    preprocessing: Preprocessing
    num_image_tokens: int
    digest: str
    """sha256 over everything of the above."""
    language_file: Path | None = None
    """The GGUF file that the language model was published in, without the adapter; None
    where there is none."""
    trained: Trained | None = None
    """The adapter that is added in above, by itself."""


def weights_digest(manifest: Manifest) -> str:
    """sha256 over the hashes of everything a model is made of; costs no reading of weights."""
    hashes = [*(part.sha256 for part in manifest.parts), manifest.trained_sha256]
    # The fold is told by the connector's shapes, and preprocessing by the encoder.
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
        name=manifest.name,
        description=manifest.description,
        language={name: np.ascontiguousarray(values) for name, values in tensors.items()},
        language_config=config,
        connector=trained.connector,
        connector_kind="aya-vision",
        connector_activation="",
        fold=manifest.fold,
        vision_encoder=manifest.vision_encoder,
        vision_file=part_path(manifest.part("vision_encoder")),
        vision={},
        vision_config=None,
        tokenizer=load_tokenizer(manifest),
        template=CHATML,
        preprocessing=manifest.preprocessing,
        num_image_tokens=manifest.num_image_tokens,
        digest=weights_digest(manifest),
        language_file=part_path(manifest.part("language_model")),
        trained=trained,
    )


def load_tokenizer(manifest: Manifest) -> Tokenizer:
    """The tokenizer that a model's language model carries.

    Read out of the GGUF file once (2.7 s) and kept in the cache (0.1 s).

    Raises:
        ModelError: If the language model's file is missing or damaged.
    """
    part = manifest.part("language_model")
    path = cache_folder() / "tokenizers" / f"{TOKENIZER_FORMAT}-{part.sha256}.json"
    if path.is_file():
        with suppress(Exception):  # a damaged copy is made anew
            tokenizer = Tokenizer.from_file(str(path))
            build_prompt(tokenizer)
            return tokenizer
    tokenizer = tokenizer_from_gguf(open_gguf(part_path(part)))
    with suppress(OSError):  # a read-only cache costs time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, tokenizer.to_str().encode())
    return tokenizer
