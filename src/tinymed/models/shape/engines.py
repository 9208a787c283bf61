"""Whether our engines can build a model, by its configuration."""

from __future__ import annotations

from tinymed.models.shape.fields import Fields

_ENCODERS = {"clip_vision_model": "default", "siglip_vision_model": "full"}
"""With which of the encoder's tokens LLaVA usually takes."""
_LANGUAGES = ("llama", "mistral", "qwen2")


def runs_only_in_transformers(fields: Fields, vision: Fields, text: Fields) -> str:
    """Why our engines cannot build a model, in a sentence; "" where they can.

    What `models.llava_checkpoint` refuses by config.json, in the same order.
    """
    kind = fields.word("model_type")
    if kind != "llava":
        return f"It is a '{kind}', and builds are made of a 'llava'."
    found = _language_refusal(text) or _vision_refusal(fields, vision)
    return f"{found}, which builds are not made of yet." if found else ""


def _language_refusal(text: Fields) -> str:
    kind = text.word("model_type")
    if kind not in _LANGUAGES:
        return f"Its language model is a '{kind}'"
    rope = text.get("rope_parameters", {})
    stretches = isinstance(rope, dict) and rope.get("rope_type", "default") != "default"
    if stretches or text.get("rope_scaling"):
        return "Its language model scales its positions"
    if text.flag("mlp_bias") or text.word("hidden_act", "silu") != "silu":
        return "Its language model has another feed-forward layer than Llama's"
    return ""


def _vision_refusal(fields: Fields, vision: Fields) -> str:
    kind = vision.word("model_type")
    if kind not in _ENCODERS:
        return f"Its vision encoder is a '{kind}'"
    if not isinstance(fields.get("vision_feature_layer", -2), int):
        return "It joins several of its vision encoder's layers"
    if fields.word("vision_feature_select_strategy", "default") != _ENCODERS[kind]:
        return "It takes other patches of its vision encoder than is usual"
    return ""
