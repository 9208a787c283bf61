"""Shapes that are planned for: small ones that are built in a moment, and real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinymed.models.shape.random_checkpoint import make_random_checkpoint
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape


def config(
    encoder: str = "clip", *, width: int = 256, layers: int = 2, tied: bool = False
) -> dict[str, Any]:
    """A LLaVA of a language model `width` wide, with rows that groups and blocks do not divide."""
    is_clip = encoder == "clip"
    return {
        "model_type": "llava",
        "image_token_index": 258,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default" if is_clip else "full",
        "tie_word_embeddings": tied,
        "vision_config": {
            "model_type": f"{encoder}_vision_model",
            "hidden_size": 144,
            "intermediate_size": 272,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            **({"projection_dim": 64} if is_clip else {"vision_use_head": False}),
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": 1024,
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // 64,
            "num_key_value_heads": width // 128,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": tied,
        },
    }


HELD_OUT: dict[str, Any] = {
    "model_type": "llava",
    "image_token_index": 49000,
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
    "tie_word_embeddings": False,
    "vision_config": {
        "model_type": "siglip_vision_model",
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": 16,
        "vision_use_head": False,
    },
    "text_config": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 960,
        "intermediate_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
}
"""SigLIP-B/16-224 and SmolLM2-360M's shape: no constant of `overheads` comes from it."""


def checkpoint(folder: Path, row: dict[str, Any]) -> tuple[Path, ModelShape]:
    """A checkpoint of random weights, and its shape."""
    return make_random_checkpoint(row, folder), read_shape(row, name=folder.name)
