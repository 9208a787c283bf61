"""LLaVA-1.6 as its own code writes it: tiles of an image beside the whole, Mistral or Vicuna.

Source:
    haotian-liu/LLaVA c121f04: model/llava_arch.py, mm_utils.py, conversation.py; the published
    config.json of llava-v1.6-mistral-7b and llava-v1.6-vicuna-7b.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.importers.chat_template import MISTRAL_INSTRUCT, VICUNA_V1
from tinymed.models.importers.layout import (
    ImportPlan,
    Layout,
    Source,
    read_object,
    refuse_other,
    required,
)
from tinymed.models.importers.llava import read_parts
from tinymed.models.importers.llava_parts import llava_plan
from tinymed.models.importers.stored_tensors import source_tensors
from tinymed.models.importers.tokenizer_files import read_tokenizer

FORMS = {
    "LlavaMistralForCausalLM": ("mistral", MISTRAL_INSTRUCT),
    "LlavaLlamaForCausalLM": ("llama", VICUNA_V1),
}
"""Language model and template by the class that wrote the checkpoint."""
CHATML_START = "<|im_start|>"


def _form(config: dict[str, Any]) -> str | None:
    classes = config.get("architectures")
    if isinstance(classes, list) and len(classes) == 1 and classes[0] in FORMS:
        return str(classes[0])
    return None


def _recognise(config: dict[str, Any], _folder: Path) -> bool:
    return _form(config) is not None and config.get("image_aspect_ratio") == "anyres"


def _plan(source: Source) -> ImportPlan:
    config = read_object(source.folder / "config.json")
    form = _form(config)
    if form is None:
        raise ModelError(
            f"'{source.folder / 'config.json'}' names none of {', '.join(FORMS)} as its class."
        )
    refuse_other(
        config,
        {
            "mm_projector_type": ("mlp2x_gelu",),
            "mm_use_im_start_end": (False, None),
            "image_aspect_ratio": ("anyres",),
            "mm_patch_merge_type": ("spatial_unpad",),
        },
        source.folder,
    )
    stored = source_tensors(source)
    text, chat_template = FORMS[form]
    parts = read_parts(
        source, config, stored, text=text, chat_template=chat_template, mode="anyres"
    )
    if read_tokenizer(parts.tokenizer_files).token_to_id(CHATML_START) is not None:
        raise ModelError(
            f"'{source.folder}' speaks ChatML, as the 34B form of LLaVA-1.6 does; the Mistral and "
            "Vicuna forms are imported."
        )
    pinpoints = _pinpoints(required(config, "image_grid_pinpoints", source.folder))
    tiled = replace(
        parts,
        image_settings={
            "image_processor_type": "LlavaNextImageProcessorPil",
            "image_grid_pinpoints": pinpoints,
            "do_pad": True,
        },
        processor="LlavaNextProcessor",
        config={
            **parts.config,
            "model_type": "llava_next",
            "architectures": ["LlavaNextForConditionalGeneration"],
            "image_grid_pinpoints": pinpoints,
        },
    )
    return llava_plan(tiled, stored)


def _pinpoints(value: Any) -> list[list[int]]:
    """Sizes of the tiled image in pixels: height, width, where LLaVA has width, height.

    The order of the list decides between sizes that fit an image equally well, so the two are
    swapped in each and the list keeps its order.
    """
    pairs = ast.literal_eval(value) if isinstance(value, str) else value
    return [[int(height), int(width)] for width, height in pairs]


LAYOUT = Layout(
    name="llava-1.6",
    description="LLaVA-1.6 in the layout of its own code, on Mistral or Vicuna.",
    recognise=_recognise,
    plan=_plan,
)
