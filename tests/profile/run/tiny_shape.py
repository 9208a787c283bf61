"""A shape so small that its random weights are made and measured in a moment."""

from __future__ import annotations

import json
from pathlib import Path

CONFIG = {
    "source": "made up",
    "model_type": "llava",
    "image_token_index": 258,
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 7,
        "projection_dim": 64,
    },
    "text_config": {
        "model_type": "llama",
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
    },
}


def write_known(folder: Path, name: str) -> None:
    """Write the shape as one that is known by name, into what stands for `models/shape/known`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(CONFIG), encoding="utf-8")
