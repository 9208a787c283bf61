"""The CLIP vision encoder of a LLaVA checkpoint: its own where it carries one, else a stock one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.importers.layout import VISION, Source, read_object
from tinymed.models.importers.stored_tensors import StoredTensor

OWN = "model.vision_tower.vision_tower.vision_model."
"""Where LLaVA keeps an encoder that it trained."""
HEAD_SIZE = 64
"""Of every CLIP that OpenAI published."""
OPENAI_TOWERS = frozenset({"openai/clip-vit-large-patch14", "openai/clip-vit-large-patch14-336"})
"""Encoders whose settings are known without their files."""
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's preprocessing, a share of full brightness for red, green, blue."""
BICUBIC = 3
"""Pillow's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTower:
    """A vision encoder whose weights have been found."""

    config: dict[str, Any]
    """vision_config of the result."""
    prefix: str
    """What its tensors' names begin with in `TensorPlan.sources`."""
    leftovers: dict[str, str]
    size_px: int
    patch_px: int

    @property
    def num_patches(self) -> int:
        """Image tokens without the class token."""
        return (self.size_px // self.patch_px) ** 2


def find_tower(
    source: Source, config: Mapping[str, Any], stored: Mapping[str, StoredTensor]
) -> ClipTower:
    """Find the encoder: an encoder in the checkpoint was trained with it and is the one to use.

    Raises:
        ModelError: If there is none, there are two, or its kind is not known.
    """
    own = f"{OWN}embeddings.class_embedding" in stored
    if own and source.vision is not None:
        raise ModelError(
            f"'{source.folder}' carries the vision encoder that it was trained with. Do not name "
            "another one."
        )
    if not own and source.vision is None:
        raise ModelError(
            f"'{source.folder}' carries no vision encoder. Name the folder of the stock one that "
            f"its config.json asks for: {config.get('mm_vision_tower')}."
        )
    prefix = OWN if own else _stock_prefix(source, stored)
    sizes = _sizes(prefix, stored)
    settings = _own_settings(config, sizes) if own else _stock_settings(source)
    return ClipTower(
        config={"model_type": "clip_vision_model", **sizes, **settings},
        prefix=prefix,
        leftovers=_leftovers(prefix, stored),
        size_px=sizes["image_size"],
        patch_px=sizes["patch_size"],
    )


def _stock_prefix(source: Source, stored: Mapping[str, StoredTensor]) -> str:
    for prefix in (f"{VISION}vision_model.", VISION):
        if f"{prefix}embeddings.class_embedding" in stored:
            return prefix
    raise ModelError(f"'{source.vision}' is no CLIP vision encoder as transformers writes it.")


def _sizes(prefix: str, stored: Mapping[str, StoredTensor]) -> dict[str, int]:
    """What the tensors' shapes say; transformers' own checks compare them again."""

    def shape(name: str, num_axes: int) -> tuple[int, ...]:
        found = stored.get(prefix + name)
        if found is None or len(found.shape) != num_axes:
            raise ModelError(f"The vision encoder's '{prefix}{name}' is missing or misshapen.")
        return found.shape

    hidden_size, _channels, _height, patch_size = shape("embeddings.patch_embedding.weight", 4)
    num_positions, _width = shape("embeddings.position_embedding.weight", 2)
    num_layers = 0
    while f"{prefix}encoder.layers.{num_layers}.layer_norm1.weight" in stored:
        num_layers += 1
    return {
        "hidden_size": hidden_size,
        "intermediate_size": shape("encoder.layers.0.mlp.fc1.weight", 2)[0],
        "num_hidden_layers": num_layers,
        "patch_size": patch_size,
        "image_size": round((num_positions - 1) ** 0.5) * patch_size,
    }


def _own_settings(config: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """What shapes cannot say, of an encoder that began as a published one."""
    name = config.get("mm_vision_tower")
    if name not in OPENAI_TOWERS:
        known = ", ".join(sorted(OPENAI_TOWERS))
        raise ModelError(f"The vision encoder '{name}' is not known. Known: {known}.")
    return {
        "num_attention_heads": sizes["hidden_size"] // HEAD_SIZE,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
    }


def _stock_settings(source: Source) -> dict[str, Any]:
    """What shapes cannot say, as the encoder's own config.json has it or means it."""
    assert source.vision is not None
    config = read_object(source.vision / "config.json")
    kind = config.get("model_type")
    if kind == "clip":
        config = config.get("vision_config") or {}
    elif kind != "clip_vision_model":
        raise ModelError(f"'{source.vision}' is of model_type '{kind}'; a CLIP is needed.")
    # Where a config is silent, CLIPVisionConfig's defaults are meant.
    return {
        "num_attention_heads": config.get("num_attention_heads", 12),
        "hidden_act": config.get("hidden_act", "quick_gelu"),
        "layer_norm_eps": config.get("layer_norm_eps", 1e-5),
    }


def _leftovers(prefix: str, stored: Mapping[str, StoredTensor]) -> dict[str, str]:
    leftovers = {f"{prefix}embeddings.position_ids": "the numbers 0, 1, 2 …, counted anew"}
    if prefix.startswith(VISION):
        unused = ("text_model.", "text_projection.", "visual_projection.", "logit_scale")
        leftovers |= {
            name: "CLIP's other half, for text and for comparing, which LLaVA does not use"
            for name in stored
            if name.removeprefix(VISION).startswith(unused) and name.startswith(VISION)
        }
    return leftovers
