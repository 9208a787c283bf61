"""Configurations of the layouts that `models.importers` reads, in transformers' words."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.importers.text_configs import stablelm_epoch_config, text_config

_CLIP_L: dict[str, Any] = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
_SO400M: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}
_ENCODERS: dict[str, dict[str, Any]] = {
    "clip-vit-large-patch14": _CLIP_L | {"image_size": 224},
    "clip-vit-large-patch14-336": _CLIP_L | {"image_size": 336},
    "siglip-so400m-patch14-384": _SO400M,
    "TinyLLaVA-1.5B-SigLIP": _SO400M,
    "TinyLLaVA-2.0B-SigLIP": _SO400M,
    "TinyLLaVA-3.1B-SigLIP": _SO400M,
}
"""By the last word of what a configuration calls its encoder, which may be a folder."""

_LANGUAGES = {
    "llava": "llama",
    "llava_llama": "llama",
    "llava_mistral": "mistral",
    "llava_qwen": "qwen2",
    "tiny_llava": "llama",
    "tiny_llava_phi": "phi",
    "tiny_llava_stablelm": "stablelm",
    "moe_llava_phi": "med_moe_phi",
    "moe_llava_stablelm": "med_moe_stablelm",
}
"""The language model by the model_type of LLaVA's own code, TinyLLaVABench's and Med-MoE's."""
_TINYLLAVA = ("tiny_llava", "tiny_llava_phi", "tiny_llava_stablelm")
_FACTORY = "tinyllava"
_REMARK = (
    "Counted as tinymed imports it; where its tokenizer fills the vocabulary, importing adds a "
    "row for the image."
)


def from_published(
    config: Mapping[str, Any], *, name: str
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """A configuration as it would be imported, and what is to be said of that.

    One that transformers reads is given back as it is.

    Raises:
        ModelError: If it names a vision encoder that is not known, or lacks a part.
    """
    kind = str(config.get("model_type"))
    if kind == _FACTORY:
        return _of_factory(config), (_REMARK,)
    tower = config.get("mm_vision_tower") or config.get("mm_image_tower")
    if kind not in _LANGUAGES or tower is None or "vision_config" in config:
        return config, ()
    encoder = _ENCODERS.get(PurePosixPath(str(tower)).name)
    if encoder is None:
        raise ModelError(
            f"The configuration of '{name}' names a vision encoder whose shape is not known "
            f"('{tower}'): import the model, and name what was imported."
        )
    try:
        return _of_llava(config, encoder), (_REMARK,)
    except (TypeError, ValueError, AttributeError, SyntaxError) as error:
        raise ModelError(
            f"The configuration of '{name}' cannot be read as one of '{kind}': {error!r}."
        ) from error


def _of_llava(config: Mapping[str, Any], encoder: dict[str, Any]) -> dict[str, Any]:
    kind = str(config["model_type"])
    text = _language(_LANGUAGES[kind], config)
    keeps_first = config.get("mm_vision_select_feature", "patch") == "cls_patch"
    layer = config.get("mm_vision_select_layer", -2)
    if kind in _TINYLLAVA and encoder["model_type"] == "siglip_vision_model":
        # The published code deletes the last layer and the head, and takes what comes out.
        layers = encoder["num_hidden_layers"] - 1
        encoder = encoder | {"num_hidden_layers": layers, "vision_use_head": False}
        keeps_first, layer = True, -1
    is_tiled = config.get("image_aspect_ratio") == "anyres"
    return {
        "model_type": "llava_next" if is_tiled else "llava",
        "vision_config": encoder,
        "text_config": text,
        "tie_word_embeddings": text["tie_word_embeddings"],
        "vision_feature_layer": layer,
        "vision_feature_select_strategy": "full" if keeps_first else "default",
        "image_grid_pinpoints": _pinpoints(config.get("image_grid_pinpoints")),
    }


def _pinpoints(value: Any) -> list[list[int]]:
    """Sides of tiled images, which LLaVA's own code writes as a list or as a text.

    It puts the width first and transformers the height: for a square image that is the same.
    """
    pairs = ast.literal_eval(value) if isinstance(value, str) else value or []
    return [[int(side) for side in pair] for pair in pairs]


def _language(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    plain = kind.removeprefix("med_moe_")
    text = (
        stablelm_epoch_config(config)
        if plain == "stablelm"
        else text_config(plain, config, may_stretch=True)
    )
    experts = config.get("moe")
    if kind == plain or not isinstance(experts, Mapping):
        return text
    return text | {
        "model_type": kind,
        "moe_layers": experts.get("moe_layers_idx"),
        "moe_num_experts": experts.get("num_experts"),
        "moe_top_k": experts.get("top_k_experts"),
    }


def _of_factory(config: Mapping[str, Any]) -> dict[str, Any]:
    """TinyLLaVA Factory's names two of the parts as transformers does."""
    text = config.get("text_config")
    is_phi = isinstance(text, Mapping) and text.get("model_type") == "phi"
    keeps_first = config.get("vision_feature_select_strategy", "patch") == "cls_patch"
    return {
        "model_type": "llava_head_bias" if is_phi else "llava",
        "vision_config": config.get("vision_config"),
        "text_config": text,
        "vision_feature_layer": config.get("vision_feature_layer", -2),
        "vision_feature_select_strategy": "full" if keeps_first else "default",
    }
