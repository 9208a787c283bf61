"""A published checkpoint's language model in the words of today's transformers.

Published files leave out what was the default of the transformers they were written with.
Defaults have changed since, so every value is written down here.

Source:
    Configuration classes of transformers 4.37 (LLaVA, TinyLLaVABench, Med-MoE) and 4.40
    (TinyLLaVA Factory); `configuration_stablelm_epoch.py` of the first two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinymed.errors import ModelError

_ALL: dict[str, Any] = {
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "pad_token_id": None,
    "tie_word_embeddings": False,
    "use_cache": True,
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": None,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "mistral": {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "hidden_act": "silu",
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-6,
        "sliding_window": 4096,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "qwen2": {
        "vocab_size": 151936,
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "use_sliding_window": False,
        "sliding_window": 4096,
        "max_window_layers": 28,
        "bos_token_id": None,
        "eos_token_id": None,
    },
    "gemma": {
        "vocab_size": 256000,
        "hidden_size": 3072,
        "intermediate_size": 24576,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 256,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "tie_word_embeddings": True,
    },
    "phi": {
        "vocab_size": 51200,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": None,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "hidden_act": "gelu_new",
        "max_position_embeddings": 2048,
        "layer_norm_eps": 1e-5,
        "qk_layernorm": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "stablelm": {
        "vocab_size": 50304,
        "hidden_size": 2560,
        "intermediate_size": 6912,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "layer_norm_eps": 1e-5,
        "use_qkv_bias": False,
        "qk_layernorm": False,
        "use_parallel_residual": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
    },
}

_ROTARY_SHARE = {"phi": 0.5, "stablelm": 0.25}
"""Share of a head that is turned by position, where the config is silent."""

_STABLELM_EPOCH = {"norm_eps": "layer_norm_eps", "rope_pct": "partial_rotary_factor"}
_STABLELM_EPOCH_DEFAULTS = {"use_qkv_bias": True, "eos_token_id": 2}


def text_config(
    model_type: str, config: Mapping[str, Any], *, may_stretch: bool = False
) -> dict[str, Any]:
    """The `text_config` of a transformers model.

    Args:
        model_type: transformers' exact name of the language model: one that has a table here.
        config: The published values; others than the language model's are not looked at.
        may_stretch: Whether checkpoints that stretch their positions were published.

    Raises:
        ModelError: If it stretches its positions and may not.
    """
    stretching = config.get("rope_scaling") or {}
    if stretching and not may_stretch:
        raise ModelError(
            "Its language model stretches its positions (rope_scaling), which no published "
            "checkpoint of this layout does."
        )
    values = {
        name: config.get(name, value) for name, value in (_ALL | _DEFAULTS[model_type]).items()
    }
    rotary = {
        "rope_type": stretching.get("type", "default"),
        "rope_theta": float(config.get("rope_theta", 10000.0)),
        **stretching,
    }
    if model_type in _ROTARY_SHARE:
        share = config.get("partial_rotary_factor", _ROTARY_SHARE[model_type])
        rotary["partial_rotary_factor"] = share
    if model_type == "gemma":
        # Where the newer key is silent, the published code took this one, whatever
        # `hidden_act` said.
        values["hidden_act"] = config.get("hidden_activation") or "gelu_pytorch_tanh"
    if values.get("num_key_value_heads", 0) is None:
        values["num_key_value_heads"] = values["num_attention_heads"]
    return {"model_type": model_type, **values, "rope_parameters": rotary}


def stablelm_epoch_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The `text_config` of StableLM-2 in its first publication's words.

    Raises:
        ModelError: If it stretches its positions.
    """
    told = _STABLELM_EPOCH_DEFAULTS | dict(config)
    # The published class knows no other activation.
    told |= {new: config[old] for old, new in _STABLELM_EPOCH.items() if old in config}
    return text_config("stablelm", told | {"hidden_act": "silu"})
