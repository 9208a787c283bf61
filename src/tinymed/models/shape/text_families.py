"""The language models whose tensors are known, by transformers' exact model_type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
)

Bias = bool | str
"""Whether there is one, or the name of the configuration's field that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFamily:
    """How a kind of language model names its tensors, and which it has."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What transformers takes where a configuration says nothing."""
    query_key_value: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    """Three matrices, or one of all three."""
    output: str = "o_proj"
    query_bias: Bias = False
    """Of query, key and value."""
    output_bias: Bias = False
    head_norm: Literal["", "each", "all", "phi", "stablelm"] = ""
    """Norms of query and key: over a head, over all heads, or as these two have them where
    `qk_layernorm` says so."""
    feed_forward: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    """The last one narrows; gate and up may be one matrix."""
    feed_forward_bias: Bias = False
    experts: Literal["", "mixtral", "med-moe"] = ""
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    norm_bias: bool = False
    last_norm: str = "norm"
    body: str = ""
    """Before everything's name."""
    spare_positions: int | None = None
    """Rows of a learned table of positions beyond those that a sequence can have; None where
    positions are not learned."""


def _sizes(numbers: str, **others: Any) -> dict[str, Any]:
    words = zip(_SIZES, numbers.split(), strict=True)
    return {name: int(word) for name, word in words if word != "-"} | others


_LLAMA = "32000 4096 11008 32 32 - - 2048"
_GEMMA_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)
_ATTENTION: dict[str, Any] = {"query_bias": "attention_bias", "output_bias": "attention_bias"}
_QWEN2_VL = TextFamily(defaults=_sizes("152064 8192 29568 80 64 8 - 32768"), query_bias=True)
_PHI = TextFamily(
    defaults=_sizes("51200 2048 8192 24 32 - - 2048"),
    output="dense",
    query_bias=True,
    output_bias=True,
    head_norm="phi",
    feed_forward=("mlp.fc1", "mlp.fc2"),
    feed_forward_bias=True,
    norms=("input_layernorm",),
    norm_bias=True,
    last_norm="final_layernorm",
)
_STABLELM = TextFamily(
    defaults=_sizes("50304 2560 6912 32 32 32 - 4096"),
    query_bias="use_qkv_bias",
    head_norm="stablelm",
    norm_bias=True,
)


TEXT_FAMILIES: dict[str, TextFamily] = {
    "llama": TextFamily(defaults=_sizes(_LLAMA), feed_forward_bias="mlp_bias", **_ATTENTION),
    "mistral": TextFamily(defaults=_sizes("32000 4096 14336 32 32 8 - 131072")),
    "mixtral": TextFamily(
        defaults=_sizes(
            "32000 4096 14336 32 32 8 - 131072", num_local_experts=8, num_experts_per_tok=2
        ),
        experts="mixtral",
    ),
    "qwen2": TextFamily(defaults=_sizes("151936 4096 22016 32 32 32 - 32768"), query_bias=True),
    "qwen2_vl_text": _QWEN2_VL,
    "qwen2_5_vl_text": _QWEN2_VL,
    "qwen3": TextFamily(
        defaults=_sizes("151936 4096 22016 32 32 32 128 32768"), head_norm="each", **_ATTENTION
    ),
    "smollm3": TextFamily(
        defaults=_sizes("128256 2048 11008 36 16 4 - 32768", tie_word_embeddings=True),
        feed_forward_bias="mlp_bias",
        **_ATTENTION,
    ),
    "granite": TextFamily(defaults=_sizes(_LLAMA), feed_forward_bias="mlp_bias", **_ATTENTION),
    "olmo2": TextFamily(
        defaults=_sizes("50304 4096 11008 32 32 - - 2048"),
        head_norm="all",
        norms=("post_attention_layernorm", "post_feedforward_layernorm"),
        **_ATTENTION,
    ),
    "gemma": TextFamily(
        defaults=_sizes("256000 3072 24576 28 16 16 256 8192", tie_word_embeddings=True),
        **_ATTENTION,
    ),
    "gemma2": TextFamily(
        defaults=_sizes("256000 2304 9216 26 8 4 256 8192", tie_word_embeddings=True),
        norms=_GEMMA_NORMS,
        **_ATTENTION,
    ),
    "gemma3_text": TextFamily(
        defaults=_sizes("262208 2304 9216 26 8 4 256 131072", tie_word_embeddings=True),
        head_norm="each",
        norms=_GEMMA_NORMS,
        **_ATTENTION,
    ),
    "cohere2": TextFamily(
        defaults=_sizes("256000 8192 22528 40 64 64 - 8192", tie_word_embeddings=True),
        norms=("input_layernorm",),
        **_ATTENTION,
    ),
    "phi": _PHI,
    "phi3": TextFamily(
        defaults=_sizes("32064 3072 8192 32 32 - - 4096"),
        query_key_value=("qkv_proj",),
        feed_forward=("mlp.gate_up_proj", "mlp.down_proj"),
    ),
    "stablelm": _STABLELM,
    "opt": TextFamily(
        defaults=_sizes(
            "50272 768 3072 12 12 - - 2048", tie_word_embeddings=True, enable_bias=True
        ),
        output="out_proj",
        query_bias="enable_bias",
        output_bias="enable_bias",
        feed_forward=("fc1", "fc2"),
        feed_forward_bias="enable_bias",
        norms=("self_attn_layer_norm", "final_layer_norm"),
        norm_bias=True,
        last_norm="final_layer_norm",
        body="decoder.",
        spare_positions=2,
    ),
    "med_moe_phi": replace(_PHI, experts="med-moe"),
    "med_moe_stablelm": replace(_STABLELM, experts="med-moe"),
}
