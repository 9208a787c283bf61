"""LLaVA-1.5 as its own code writes it: CLIP-L/14-336, two linear layers, Vicuna.

Source:
    haotian-liu/LLaVA c121f04: model/llava_arch.py, model/builder.py, mm_utils.py,
    conversation.py; the published config.json of llava-v1.5-7b.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.importers.chat_template import VICUNA_V1
from tinymed.models.importers.layout import (
    ImportPlan,
    Layout,
    Source,
    read_object,
    refuse_other,
    required,
)
from tinymed.models.importers.llava_parts import (
    Connector,
    Language,
    Parts,
    Speech,
    image_mode,
    keeps_first,
    llava_plan,
)
from tinymed.models.importers.stored_tensors import StoredTensor, source_tensors
from tinymed.models.importers.text_configs import text_config
from tinymed.models.importers.tokenizer_files import find_tokenizer_files
from tinymed.models.importers.vision_encoders import (
    CLIP,
    NOT_IN_SHAPES,
    VisionEncoder,
    carries,
    own_or_stock_encoder,
)

OWN_ENCODER = "model.vision_tower.vision_tower.vision_model."
"""Where LLaVA keeps an encoder that it trained."""
_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)
"""What LLaVA's config.json always tells of its language model."""
_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


def _recognise(config: dict[str, Any], _folder: Path) -> bool:
    return (
        config.get("model_type") in ("llava", "llava_llama")
        and config.get("architectures") == ["LlavaLlamaForCausalLM"]
        and config.get("mm_projector_type") == "mlp2x_gelu"
        and config.get("image_aspect_ratio") != "anyres"
    )


def _plan(source: Source) -> ImportPlan:
    return square_image_plan(source, text="llama", chat_template=VICUNA_V1)


def square_image_plan(source: Source, *, text: str, chat_template: str) -> ImportPlan:
    """The plan for one square image, two linear layers and a language model of LLaVA's.

    Raises:
        ModelError: If the checkpoint says of itself that it is another.
    """
    config = read_object(source.folder / "config.json")
    refuse_other(
        config,
        {"mm_projector_type": ("mlp2x_gelu",), "mm_use_im_start_end": (False, None)},
        source.folder,
    )
    stored = source_tensors(source)
    mode = image_mode(config.get("image_aspect_ratio"))
    parts = read_parts(source, config, stored, text=text, chat_template=chat_template, mode=mode)
    return llava_plan(parts, stored)


def read_parts(
    source: Source,
    config: Mapping[str, Any],
    stored: Mapping[str, StoredTensor],
    *,
    text: str,
    chat_template: str,
    mode: str,
) -> Parts:
    """The parts of a checkpoint of LLaVA's own code, with two linear layers as connector.

    Args:
        source: Where it lies.
        config: Its config.json.
        stored: Its tensors.
        text: transformers' model_type of the language model.
        chat_template: How it is spoken to.
        mode: What is done to images.

    Raises:
        ModelError: If a part is missing.
    """
    for key in _SIZES:
        required(config, key, source.folder)
    return Parts(
        vision=_clip(source, config, stored),
        vision_feature_layer=config.get("mm_vision_select_layer", -2),
        keeps_first=keeps_first(config.get("mm_vision_select_feature", "patch")),
        connector=Connector(kind="mlp2x_gelu", prefix="model.mm_projector"),
        language=Language(config=text_config(text, config, may_stretch=True)),
        tokenizer_files=find_tokenizer_files(source.folder, source.tokenizer, source.base),
        speech=Speech(
            chat_template=chat_template,
            generation={key: config[key] for key in _TOKENS if config.get(key) is not None},
        ),
        image_mode=mode,
        config={"dtype": config.get("torch_dtype") or "float16"},
    )


def _clip(
    source: Source, config: Mapping[str, Any], stored: Mapping[str, StoredTensor]
) -> VisionEncoder:
    """The vision encoder: one in the checkpoint was trained with it and is the one to use."""
    name = str(config.get("mm_vision_tower"))
    if source.vision is not None and name in NOT_IN_SHAPES and carries(stored, OWN_ENCODER):
        raise ModelError(
            f"'{source.folder}' carries the vision encoder that it was trained with. Do not name "
            "another one."
        )
    encoder = own_or_stock_encoder(source, stored, own=OWN_ENCODER, name=name)
    if encoder.kind != CLIP:
        raise ModelError(f"Its vision encoder '{name}' is no CLIP, as those of this layout are.")
    return encoder


LAYOUT = Layout(
    name="llava-1.5",
    description="LLaVA-1.5 in the layout of its own code (LlavaLlamaForCausalLM).",
    recognise=_recognise,
    plan=_plan,
)
