"""The language model's part of a LLaVA checkpoint's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinymed.models.importers.layout import required

REQUIRED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)
KEPT = (
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "sliding_window",
    "attention_bias",
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "tie_word_embeddings",
)
"""Keys that are taken over where they are given; elsewhere transformers' defaults hold, which
for these two classes are what they were when the checkpoints were published."""


def text_config(config: Mapping[str, Any], folder: Path, *, model_type: str) -> dict[str, Any]:
    """text_config of the result.

    Raises:
        ModelError: If a size is missing.
    """
    return {
        "model_type": model_type,
        **{key: required(config, key, folder) for key in REQUIRED},
        **{
            key: config[key]
            for key in KEPT
            if config.get(key) is not None or (key in _NULLABLE and key in config)
        },
    }


_NULLABLE = ("sliding_window",)
"""Here null says something: no window, where the default is one."""
