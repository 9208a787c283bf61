"""Configurations of every family, small enough to be counted at once."""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]


def text(model_type: str, **others: Any) -> Config:
    return {
        "model_type": model_type,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 300,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        **others,
    }


def vision(model_type: str, **others: Any) -> Config:
    return {
        "model_type": model_type,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 7,
        **others,
    }


CLIP = vision("clip_vision_model")
SIGLIP = vision("siglip_vision_model")
LLAMA = text("llama")


def llava(
    *, language: Config = LLAMA, encoder: Config = CLIP, kind: str = "llava", **others: Any
) -> Config:
    return {
        "model_type": kind,
        "text_config": language,
        "vision_config": encoder,
        "image_token_index": 3,
        **others,
    }


_PLAIN = ("llama", "mistral", "qwen2", "phi", "phi3", "stablelm", "mixtral", "olmo2")
_PLAIN_TOO = ("granite", "smollm3", "cohere2")
_WITH_HEAD_WIDTH = ("llama", "mistral", "qwen3", "gemma", "gemma2", "gemma3_text")
_EXPERTS = {"moe_layers": [1], "moe_num_experts": [4], "moe_top_k": 2}

LANGUAGES: dict[str, Config] = {
    **{kind: text(kind) for kind in (*_PLAIN, *_PLAIN_TOO)},
    # Wider heads than the layer's width over the number of heads.
    **{f"{kind} wide heads": text(kind, head_dim=16) for kind in _WITH_HEAD_WIDTH},
    "llama biased": text("llama", attention_bias=True, mlp_bias=True),
    "granite biased": text("granite", attention_bias=True, mlp_bias=True),
    "qwen3 biased": text("qwen3", head_dim=8, attention_bias=True),
    "llama tied": text("llama", tie_word_embeddings=True),
    "phi normed": text("phi", qk_layernorm=True),
    "stablelm normed": text("stablelm", qk_layernorm=True, use_qkv_bias=True),
    "stablelm parallel": text("stablelm", use_parallel_residual=True),
    "mixtral of 3": text("mixtral", num_local_experts=3),
    "med_moe_phi": text("med_moe_phi", **_EXPERTS),
    "med_moe_stablelm": text("med_moe_stablelm", **_EXPERTS),
}

ENCODERS: dict[str, Config] = {
    "clip": CLIP,
    "siglip": SIGLIP,
    "siglip headless": SIGLIP | {"vision_use_head": False},
    "siglip2": vision("siglip2_vision_model", num_patches=36),
    "dinov2": vision("dinov2", mlp_ratio=3),
    "dinov2 swiglu": vision("dinov2", use_swiglu_ffn=True, qkv_bias=False),
    "vit": vision("vit", qkv_bias=False),
    "pixtral": vision("pixtral"),
    "idefics3": vision("idefics3_vision"),
    "internvl": vision("internvl_vision"),
    "internvl normed": vision(
        "internvl_vision",
        use_qk_norm=True,
        use_mean_pooling=False,
        attention_bias=True,
        norm_type="rms_norm",
        use_mask_token=True,
    ),
}

_MROPE = {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
_QWEN_VISION = {"depth": 2, "num_heads": 2, "patch_size": 7}

WHOLES: dict[str, Config] = {
    "llava": llava(),
    "llava unbiased": llava(multimodal_projector_bias=False),
    "llava of two layers": llava(encoder=SIGLIP, vision_feature_layer=[-2, -1]),
    "llava_head_bias": llava(kind="llava_head_bias", language=text("phi")),
    "llava_next": llava(kind="llava_next", image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]]),
    "llava_onevision": llava(kind="llava_onevision", language=text("qwen2"), encoder=SIGLIP),
    "aya_vision": llava(kind="aya_vision", encoder=SIGLIP, alignment_intermediate_size=64),
    "aya_vision of cohere": llava(kind="aya_vision", encoder=SIGLIP, language=text("cohere2")),
    "idefics3": llava(kind="idefics3", encoder=vision("idefics3_vision")),
    "smolvlm": llava(kind="smolvlm", encoder=vision("smolvlm_vision"), scale_factor=4),
    "internvl": llava(kind="internvl", language=text("qwen2"), encoder=vision("internvl_vision")),
    "internvl untied": llava(
        kind="internvl",
        language=text("qwen2"),
        encoder=vision("internvl_vision"),
        tie_word_embeddings=False,
    ),
    "paligemma": llava(
        kind="paligemma", language=text("gemma", head_dim=8), encoder=SIGLIP, projection_dim=32
    ),
    "gemma3": llava(
        kind="gemma3",
        language=text("gemma3_text", head_dim=8),
        encoder=SIGLIP,
        mm_tokens_per_image=4,
    ),
    "qwen2_vl": {
        "model_type": "qwen2_vl",
        "text_config": text("qwen2_vl_text", **_MROPE),
        "vision_config": _QWEN_VISION | {"embed_dim": 24, "hidden_size": 32, "mlp_ratio": 2},
    },
    "qwen2_vl flat": {
        **text("qwen2_vl", tie_word_embeddings=True),
        "vision_config": _QWEN_VISION
        | {"model_type": "qwen2_vl", "embed_dim": 24, "hidden_size": 32, "mlp_ratio": 2},
    },
    "qwen2_5_vl": {
        "model_type": "qwen2_5_vl",
        "text_config": text("qwen2_5_vl_text", **_MROPE),
        "vision_config": _QWEN_VISION
        | {"hidden_size": 24, "out_hidden_size": 32, "intermediate_size": 40},
    },
    "mistral3": llava(
        kind="mistral3",
        language=text("mistral", head_dim=8),
        encoder=vision("pixtral"),
        spatial_merge_size=2,
        vision_feature_layer=-1,
    ),
    "mistral3 biased": llava(
        kind="mistral3",
        language=text("mistral", head_dim=8),
        encoder=vision("pixtral"),
        multimodal_projector_bias=True,
    ),
}
