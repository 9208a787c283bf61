"""Configurations in the layouts of other people's code, counted as they would be imported."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_configs import SIGLIP, text

from tinymed.errors import ModelError
from tinymed.models.shape.known import find_shape
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape

Config = dict[str, Any]

LLAVA_MED: Config = {
    "architectures": ["LlavaMistralForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": 4096,
    "image_aspect_ratio": "pad",
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "mm_hidden_size": 1024,
    "mm_projector_type": "mlp2x_gelu",
    "mm_use_im_start_end": False,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "model_type": "llava_mistral",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}
"""As microsoft/llava-med-v1.5-mistral-7b has it."""
TINYLLAVA: Config = {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "max_position_embeddings": 2048,
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "bczhou/TinyLLaVA-1.5B-SigLIP",
    "model_type": "tiny_llava",
    "num_attention_heads": 32,
    "num_hidden_layers": 22,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
}
PHI: Config = {
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "vocab_size": 51200,
    "mm_image_tower": "openai/clip-vit-large-patch14-336",
    "image_projector_type": "mlp2x_gelu",
    "model_type": "moe_llava_phi",
    "moe": {
        "moe_layers_idx": list(range(0, 32, 2)),
        "num_experts": [4] * 16,
        "top_k_experts": 1,
    },
}


def _but_for_rows(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Without the number of tokens: importing adds one for the image."""
    tables = ("embed_tokens.weight", "lm_head.weight")
    return {
        tensor.name: tensor.shape[1:] if tensor.name.endswith(tables) else tensor.shape
        for tensor in shape.tensors
    }


@pytest.mark.parametrize(
    ("config", "known"),
    [(LLAVA_MED, "llava-med-7b"), (TINYLLAVA, "tinyllava-1.5b"), (PHI, "med-moe-phi2")],
)
def test_a_published_configuration_is_the_known_models(config: Config, known: str) -> None:
    published, imported = read_shape(config, name=known), find_shape(known)
    assert _but_for_rows(published) == _but_for_rows(imported)
    assert published.vision == imported.vision
    assert published.image_tokens == imported.image_tokens
    assert published.runs_only_in_transformers == imported.runs_only_in_transformers
    assert published.text.vocabulary in (imported.text.vocabulary, imported.text.vocabulary - 1)
    assert "Counted as tinymed imports it" in published.remarks[0]


def test_an_encoder_is_known_by_the_last_word_of_its_folder() -> None:
    config = LLAVA_MED | {"mm_vision_tower": "/data/encoders/clip-vit-large-patch14"}
    assert read_shape(config, name="x").image_tokens == 256


def test_a_tiled_form_is_counted_as_llava_next() -> None:
    tiled = {"image_aspect_ratio": "anyres", "image_grid_pinpoints": "[(336, 672), (672, 672)]"}
    shape = read_shape(LLAVA_MED | tiled, name="x")
    assert shape.model_type == "llava_next"
    # Two tiles in a row, and the whole.
    assert shape.vision.tiles == 3
    assert shape.image_tokens == 576 + 24 * 24 + 24
    assert "model.image_newline" in {tensor.name for tensor in shape.tensors}


def test_stablelm_is_read_in_the_words_of_its_first_publication() -> None:
    words = {"model_type": "moe_llava_stablelm", "use_qkv_bias": True, "norm_eps": 1e-5}
    shape = read_shape(PHI | words, name="x")
    names = {tensor.name for tensor in shape.tensors}
    assert shape.text.model_type == "med_moe_stablelm"
    assert "model.language_model.layers.0.self_attn.q_proj.bias" in names
    assert "model.language_model.layers.1.mlp.gate_proj.weight" in names
    assert "model.language_model.layers.0.mlp.experts.3.gate_proj.weight" in names


@pytest.mark.parametrize(("kind", "num_biases"), [("phi", 1), ("llama", 0)])
def test_tinyllava_factorys_phi_has_a_bias_in_its_output_layer(kind: str, num_biases: int) -> None:
    config = {
        "model_type": "tinyllava",
        "text_config": text(kind),
        "vision_config": SIGLIP,
        "connector_type": "mlp2x_gelu",
        "vision_feature_select_strategy": "patch",
    }
    shape = read_shape(config, name="x")
    assert [tensor.name for tensor in shape.tensors].count("lm_head.bias") == num_biases
    # Its code cuts off the first token of SigLIP, which is a patch.
    assert shape.image_tokens == 15


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mm_vision_tower": "someones/own-tower"}, r"not known \('someones/own-tower'\): import"),
        ({"rope_theta": "much"}, "cannot be read as one of 'llava_mistral'"),
        ({"rope_scaling": "linear"}, "cannot be read as one of 'llava_mistral'"),
        (
            {"image_aspect_ratio": "anyres", "image_grid_pinpoints": "(1"},
            "cannot be read as one of 'llava_mistral'",
        ),
    ],
)
def test_what_cannot_be_read_is_said(change: Config, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read_shape(LLAVA_MED | change, name="x")
