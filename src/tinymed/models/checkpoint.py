"""A model as plain transformers loads it: config and state of an AyaVision layout.

AyaVisionForConditionalGeneration is the layout in transformers that folds patches, norms
them and projects them, around any vision encoder and any language model that transformers
knows: it is what nano is, with DINOv2 and Llama. `from_pretrained` needs no code of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import (
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    Dinov2Config,
    LlamaConfig,
)

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
    vision: Dinov2Config, text: LlamaConfig, *, downsample: int, image_id: int
) -> AyaVisionConfig:
    """The whole model's configuration: last hidden state, class token dropped."""
    # The projector reads alignment_intermediate_size; the config takes and saves it undeclared.
    return AyaVisionConfig(  # type: ignore[call-arg]
        vision_config=vision,
        text_config=text,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        downsample_factor=downsample,
        alignment_intermediate_size=2 * text.hidden_size,
        image_token_index=image_id,
        tie_word_embeddings=True,
    )


def assemble(weights: ModelWeights, *, image_id: int) -> AyaVisionForConditionalGeneration:
    """The model in float32; every parameter is given a value, or the load fails."""
    config = checkpoint_config(
        dinov2_config(), llama_config(weights.language_config), downsample=2, image_id=image_id
    )
    model: AyaVisionForConditionalGeneration = AyaVisionForConditionalGeneration(config)
    model.train(mode=False)
    state = {
        **{f"model.vision_tower.{n}": v for n, v in vision_tensors(weights.vision_onnx).items()},
        **{f"model.multi_modal_projector.{n}": v for n, v in weights.connector.items()},
        **{f"model.language_model.{n}": v for n, v in weights.language.items()},
        "lm_head.weight": weights.language["embed_tokens.weight"],
    }
    tensors = {name: torch.from_numpy(np.array(values)) for name, values in state.items()}
    model.load_state_dict(tensors, strict=True)
    return model
