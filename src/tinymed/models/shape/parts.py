"""A whole model's configuration and those of its parts, each with its class's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.shape.efficientnet import MODEL_TYPE as EFFICIENTNET
from tinymed.models.shape.fields import Fields
from tinymed.models.shape.text_families import TEXT_FAMILIES, TextFamily
from tinymed.models.shape.vision_families import VISION_FAMILIES, VisionFamily
from tinymed.models.shape.wholes import LLAVA, WHOLES, Whole

_TEXT_KEYS = ("text_config", "llm_config", "language_config")
_FORMER_TYPES = {
    "vision_config": {
        "clip": "clip_vision_model",
        "siglip": "siglip_vision_model",
        "siglip2": "siglip2_vision_model",
        "idefics3": "idefics3_vision",
        "smolvlm": "smolvlm_vision",
        "qwen2_vl": "qwen2_vl_vision",
        "qwen2_5_vl": "qwen2_5_vl_vision",
    },
    "text_config": {
        "gemma3": "gemma3_text",
        "qwen2_vl": "qwen2_vl_text",
        "qwen2_5_vl": "qwen2_5_vl_text",
    },
}
"""What older configurations call a part, by what it is called now."""
_FAMILIES: dict[str, Mapping[str, VisionFamily | TextFamily]] = {
    "vision_config": VISION_FAMILIES,
    "text_config": TEXT_FAMILIES,
}
_COUNTED_AS = {"vision_config": "CLIP", "text_config": "Llama"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a configuration says of the whole and of its parts."""

    whole: Whole
    fields: Fields
    vision: Fields
    text: Fields
    remarks: tuple[str, ...]
    """What was taken for granted."""

    @property
    def is_tied(self) -> bool:
        """Whether the output layer is the embedding table."""
        is_tied = self.fields.flag("tie_word_embeddings", other=self.whole.is_tied)
        return is_tied or (self.whole.heeds_text and self.text.flag("tie_word_embeddings"))


def read_parts(config: Mapping[str, Any], *, name: str) -> Parts:
    """Find the configurations of vision encoder and language model.

    Raises:
        ModelError: If there is none of one of them.
    """
    kind = str(config.get("model_type"))
    is_known = kind in WHOLES
    whole = WHOLES.get(kind, LLAVA)
    text = _inner(config, _TEXT_KEYS)
    if text is None and whole.has_flat_text:
        text = {key: value for key, value in config.items() if key != "model_type"}
    found = {"vision_config": _inner(config, ("vision_config",)), "text_config": text}
    usual = {"vision_config": whole.vision_type, "text_config": whole.text_type}
    remarks = [] if is_known else [f"'{kind}' is not known: counted as LLaVA joins its parts."]
    parts = {}
    for called, inner in found.items():
        if inner is None:
            raise ModelError(
                f"The configuration of '{name}' (model_type '{kind}') has no {called}, so the "
                "model's shape cannot be told: name the model that it was made from."
            )
        own = str(inner.get("model_type") or (usual[called] if is_known else ""))
        own = _FORMER_TYPES[called].get(own, own)
        family = _FAMILIES[called].get(own)
        if family is None and own != EFFICIENTNET:
            remarks.append(
                f"The {called}'s '{own}' is not known: counted as {_COUNTED_AS[called]} is made."
            )
        parts[called] = Fields(
            values={**inner, "model_type": own},
            where=f"The {called} of '{name}'",
            defaults=family.defaults if family else {},
        )
    return Parts(
        whole=whole,
        fields=Fields(values=config, where=f"The configuration of '{name}'"),
        vision=parts["vision_config"],
        text=parts["text_config"],
        remarks=tuple(remarks),
    )


def _inner(config: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any] | None:
    for key in keys:
        if isinstance(config.get(key), Mapping):
            inner: Mapping[str, Any] = config[key]
            return inner
    return None
