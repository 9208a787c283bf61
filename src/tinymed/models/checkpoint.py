"""A model as plain transformers loads it: config and state of an AyaVision layout.

AyaVisionForConditionalGeneration is the layout in transformers that folds patches, norms
them and projects them, around any vision encoder and any language model that transformers
knows. With DINOv2, `from_pretrained` needs no code of ours; with EfficientNet-Lite2 it needs
the tower that `tinymed.models.efficientnet_tower` registers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    Dinov2Config,
    LlamaConfig,
    PretrainedConfig,
)

from tinymed.models.efficientnet_lite import read_efficientnet
from tinymed.models.efficientnet_tower import EfficientNetLiteConfig, tower_state
from tinymed.models.vision_onnx import vision_tensors

if TYPE_CHECKING:
    from tinymed.models.language_gguf import LanguageConfig
    from tinymed.models.weights import ModelWeights

CONTEXT_TOKENS = 8192


def dinov2_config() -> Dinov2Config:
    """The configuration of DINOv2-small, as transformers writes it."""
    return Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        image_size=518,
        patch_size=14,
        layer_norm_eps=1e-6,
    )


def llama_config(config: LanguageConfig) -> LlamaConfig:
    """A Llama configuration, as transformers writes it."""
    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        rms_norm_eps=config.rms_norm_eps,
        rope_parameters={"rope_theta": config.rope_theta, "rope_type": "default"},
        tie_word_embeddings=True,
        max_position_embeddings=CONTEXT_TOKENS,
    )


def checkpoint_config(
    vision: PretrainedConfig, text: LlamaConfig, *, fold: int, image_id: int
) -> AyaVisionConfig:
    """The whole model's configuration: the encoder's last hidden state, folded."""
    has_class_token = isinstance(vision, Dinov2Config)
    # The projector reads alignment_intermediate_size; the config takes and saves it undeclared.
    return AyaVisionConfig(  # type: ignore[call-arg]
        vision_config=vision,
        text_config=text,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default" if has_class_token else "full",
        downsample_factor=fold,
        alignment_intermediate_size=2 * text.hidden_size,
        image_token_index=image_id,
        tie_word_embeddings=True,
    )


def vision_config(name: str) -> PretrainedConfig:
    """The configuration of a vision encoder of `tinymed.models.parts`."""
    return dinov2_config() if name == "dinov2-small" else EfficientNetLiteConfig()


def vision_state(name: str, path: Path) -> dict[str, Tensor]:
    """A vision encoder's weights from its part's file, under transformers' names."""
    arrays = (
        vision_tensors(path) if name == "dinov2-small" else tower_state(read_efficientnet(path))
    )
    return {name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}


def assemble(weights: ModelWeights, *, image_id: int) -> AyaVisionForConditionalGeneration:
    """The model in float32; every parameter is given a value, or the load fails."""
    config = checkpoint_config(
        vision_config(weights.vision_encoder),
        llama_config(weights.language_config),
        fold=weights.fold,
        image_id=image_id,
    )
    model: AyaVisionForConditionalGeneration = AyaVisionForConditionalGeneration(config)
    model.train(mode=False)
    vision = vision_state(weights.vision_encoder, weights.vision_file)
    others = {
        **{f"model.multi_modal_projector.{n}": v for n, v in weights.connector.items()},
        **{f"model.language_model.{n}": v for n, v in weights.language.items()},
        "lm_head.weight": weights.language["embed_tokens.weight"],
    }
    state = {
        **{f"model.vision_tower.{name}": tensor for name, tensor in vision.items()},
        **{name: torch.from_numpy(np.array(values)) for name, values in others.items()},
    }
    model.load_state_dict(state, strict=True)
    return model
