"""The vision-language models whose tensors are known, by transformers' exact model_type."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinymed.models.shape import connectors, image_tokens
from tinymed.models.shape.connectors import ConnectorTensors
from tinymed.models.shape.image_tokens import ImageTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """How a kind of model joins its parts."""

    connector: ConnectorTensors
    tokens: ImageTokens
    vision_prefix: str = "model.vision_tower."
    connector_prefix: str = "model.multi_modal_projector."
    text_prefix: str = "model.language_model."
    is_tied: bool = False
    """Where the configuration does not say whether the output layer is the embedding table."""
    heeds_text: bool = False
    """Whether the language model's own configuration may say that it is."""
    feature_layer: int = -1
    """Which hidden state of the encoder is read, where the configuration does not say."""
    has_newline: bool = False
    """Whether a token stands at the end of each row of an image."""
    has_head_bias: bool = False
    has_flat_text: bool = False
    """Whether the language model's fields may stand in the whole's configuration, and the
    connector's in the vision encoder's."""
    vision_type: str = ""
    text_type: str = ""
    """What the parts are where their configurations do not say."""


LLAVA = Whole(
    connector=connectors.llava_connector,
    tokens=image_tokens.llava_tokens,
    heeds_text=True,
    feature_layer=-2,
    vision_type="clip_vision_model",
    text_type="llama",
)
_IDEFICS3 = Whole(
    connector=connectors.idefics_connector,
    tokens=image_tokens.idefics_tokens,
    vision_prefix="model.vision_model.",
    connector_prefix="model.connector.",
    text_prefix="model.text_model.",
    vision_type="idefics3_vision",
    text_type="llama",
)
_QWEN2_VL = Whole(
    connector=connectors.qwen_connector,
    tokens=image_tokens.merged_tokens,
    vision_prefix="model.visual.",
    connector_prefix="model.visual.merger.",
    heeds_text=True,
    has_flat_text=True,
    vision_type="qwen2_vl_vision",
    text_type="qwen2_vl_text",
)

WHOLES: dict[str, Whole] = {
    "llava": LLAVA,
    "llava_head_bias": replace(LLAVA, has_head_bias=True),
    "llava_next": replace(
        LLAVA, tokens=image_tokens.next_tokens, heeds_text=False, has_newline=True
    ),
    "llava_onevision": replace(
        LLAVA,
        tokens=image_tokens.onevision_tokens,
        feature_layer=-1,
        has_newline=True,
        vision_type="siglip_vision_model",
        text_type="qwen2",
    ),
    "aya_vision": Whole(
        connector=connectors.aya_connector,
        tokens=image_tokens.aya_tokens,
        is_tied=True,
        vision_type="siglip_vision_model",
        text_type="cohere2",
    ),
    "idefics3": _IDEFICS3,
    "smolvlm": replace(_IDEFICS3, vision_type="smolvlm_vision"),
    "internvl": Whole(
        connector=connectors.internvl_connector,
        tokens=image_tokens.internvl_tokens,
        is_tied=True,
        vision_type="internvl_vision",
        text_type="qwen2",
    ),
    "paligemma": Whole(
        connector=connectors.paligemma_connector,
        tokens=image_tokens.paligemma_tokens,
        is_tied=True,
        vision_type="siglip_vision_model",
        text_type="gemma",
    ),
    "gemma3": Whole(
        connector=connectors.gemma3_connector,
        tokens=image_tokens.gemma3_tokens,
        is_tied=True,
        vision_type="siglip_vision_model",
        text_type="gemma3_text",
    ),
    "qwen2_vl": _QWEN2_VL,
    "qwen2_5_vl": replace(_QWEN2_VL, vision_type="qwen2_5_vl_vision", text_type="qwen2_5_vl_text"),
    "mistral3": Whole(
        connector=connectors.mistral3_connector,
        tokens=image_tokens.merged_tokens,
        is_tied=True,
        vision_type="pixtral",
        text_type="mistral",
    ),
}
