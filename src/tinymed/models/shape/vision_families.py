"""The vision transformers whose tensors are known, by transformers' exact model_type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

_SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "image_size",
    "patch_size",
)

Bias = bool | str
"""Whether there is one, or the name of the configuration's field that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionFamily:
    """How a kind of vision transformer names its tensors, and which it has."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What transformers takes where a configuration says nothing."""
    layers: str = "encoder.layers."
    query_key_value: tuple[str, ...] = (
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
    )
    """Three matrices, or one of all three."""
    output: str = "self_attn.out_proj"
    query_bias: Bias = True
    """Of query, key and value."""
    output_bias: bool = True
    feed_forward: tuple[str, ...] = ("mlp.fc1", "mlp.fc2")
    """The last one narrows."""
    feed_forward_bias: bool = True
    norms: tuple[str, str] = ("layer_norm1", "layer_norm2")
    norm_bias: bool = True
    scales: tuple[str, ...] = ()
    """Vectors that a layer's two branches are multiplied with."""
    patches: str = "embeddings.patch_embedding"
    patch_bias: bool = True
    patch_kind: Literal["square", "flat", "frames"] = "square"
    """Its kernel is channels x side x side; one row of these; or that of two frames."""
    class_token: str = ""
    """The name of the token before the patches; "" where there is none."""
    positions: str = "embeddings.position_embedding.weight"
    """"" where positions turn the queries and keys instead."""
    has_batch_axis: bool = False
    """Of class token and positions: they are 1 x tokens x width."""
    first_norm: str = ""
    last_norm: str = "post_layernorm"
    head: Literal["", "siglip", "vit"] = ""
    """What makes one row of all, which no language model reads."""


def _sizes(numbers: str, **others: Any) -> dict[str, Any]:
    words = zip(_SIZES, numbers.split(), strict=True)
    return {name: int(word) for name, word in words if word != "-"} | others


_SIGLIP = VisionFamily(
    defaults=_sizes("768 3072 12 12 224 16", vision_use_head=True), head="siglip"
)
_IDEFICS3 = VisionFamily(defaults=_sizes("1152 3072 12 16 224 32"))
_VIT = VisionFamily(
    defaults=_sizes("768 3072 12 12 224 16", qkv_bias=True),
    layers="layers.",
    query_key_value=("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    output="attention.o_proj",
    query_bias="qkv_bias",
    norms=("layernorm_before", "layernorm_after"),
    patches="embeddings.patch_embeddings.projection",
    class_token="embeddings.cls_token",  # noqa: S106  # no password
    positions="embeddings.position_embeddings",
    has_batch_axis=True,
    last_norm="layernorm",
    head="vit",
)
_QWEN2_VL = VisionFamily(
    # The processor of transformers gives no image more than 1,003,520 pixels: 35 x 35 tokens.
    defaults=_sizes("3584 - 32 16 980 14", embed_dim=1280, mlp_ratio=4),
    layers="blocks.",
    query_key_value=("attn.qkv",),
    output="attn.proj",
    norms=("norm1", "norm2"),
    patches="patch_embed.proj",
    patch_bias=False,
    patch_kind="frames",
    positions="",
    last_norm="",
)

VISION_FAMILIES: dict[str, VisionFamily] = {
    "clip_vision_model": VisionFamily(
        defaults=_sizes("768 3072 12 12 224 32"),
        patch_bias=False,
        class_token="embeddings.class_embedding",  # noqa: S106  # no password
        # Written so in transformers.
        first_norm="pre_layrnorm",
    ),
    "siglip_vision_model": _SIGLIP,
    "siglip2_vision_model": replace(
        _SIGLIP,
        defaults=_sizes("768 3072 12 12 256 16", vision_use_head=True, num_patches=256),
        patch_kind="flat",
    ),
    "idefics3_vision": _IDEFICS3,
    "smolvlm_vision": _IDEFICS3,
    "vit": _VIT,
    "dinov2": replace(
        _VIT,
        defaults=_sizes("768 - 12 12 224 14", qkv_bias=True, mlp_ratio=4, use_mask_token=True),
        layers="encoder.layer.",
        norms=("norm1", "norm2"),
        scales=("layer_scale1.lambda1", "layer_scale2.lambda1"),
        head="",
    ),
    "internvl_vision": replace(
        _VIT,
        defaults=_sizes(
            "1024 4096 24 16 448 14", use_mean_pooling=True, use_absolute_position_embeddings=True
        ),
        layers="encoder.layer.",
        output="attention.projection_layer",
        query_bias="attention_bias",
        scales=("lambda_1", "lambda_2"),
        head="",
    ),
    "pixtral": VisionFamily(
        defaults=_sizes("1024 4096 24 16 1024 16"),
        layers="transformer.layers.",
        query_key_value=("attention.q_proj", "attention.k_proj", "attention.v_proj"),
        output="attention.o_proj",
        query_bias=False,
        output_bias=False,
        feed_forward=("feed_forward.gate_proj", "feed_forward.up_proj", "feed_forward.down_proj"),
        feed_forward_bias=False,
        norms=("attention_norm", "ffn_norm"),
        norm_bias=False,
        patches="patch_conv",
        patch_bias=False,
        positions="",
        first_norm="ln_pre",
        last_norm="",
    ),
    "qwen2_vl_vision": _QWEN2_VL,
    "qwen2_5_vl_vision": replace(
        _QWEN2_VL,
        defaults=_sizes(
            "3584 3420 32 16 980 14",
            out_hidden_size=3584,
            window_size=112,
            fullatt_block_indexes=(7, 15, 23, 31),
        ),
        feed_forward=("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
        norm_bias=False,
    ),
}
