"""LLaVA-1.5 as its own code writes it: CLIP-L/14-336, two linear layers, Vicuna.

Source:
    haotian-liu/LLaVA c121f04: model/llava_arch.py, model/builder.py, mm_utils.py,
    conversation.py; the published config.json of llava-v1.5-7b.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinymed.models.importers.chat_template import VICUNA_V1
from tinymed.models.importers.layout import ImportPlan, Layout, Source
from tinymed.models.importers.llava_family import (
    leftovers,
    model_config,
    preprocessing,
    processor_files,
    read_checkpoint,
    refuse_other,
    tensor_plans,
)

LLAMA = (["LlavaLlamaForCausalLM"],)


def _recognise(config: dict[str, Any], _folder: Path) -> bool:
    return (
        config.get("model_type") in ("llava", "llava_llama")
        and config.get("architectures") in LLAMA
        and config.get("mm_projector_type") == "mlp2x_gelu"
        and config.get("image_aspect_ratio") != "anyres"
    )


def _plan(source: Source) -> ImportPlan:
    return padded_plan(source, text="llama", chat_template=VICUNA_V1)


def padded_plan(source: Source, *, text: str, chat_template: str) -> ImportPlan:
    """The plan for one square image, two linear layers and a language model of LLaVA's.

    Raises:
        ModelError: If the checkpoint says of itself that it is another.
    """
    checkpoint = read_checkpoint(source, text=text)
    refuse_other(
        checkpoint.config,
        {
            "mm_projector_type": ("mlp2x_gelu",),
            "mm_use_im_start_end": (False, None),
            "image_aspect_ratio": ("pad", "square", None),
        },
        source.folder,
    )
    config = model_config(checkpoint)
    is_padded = checkpoint.config.get("image_aspect_ratio") == "pad"
    return ImportPlan(
        config=config,
        processor=processor_files(checkpoint, config, do_pad=is_padded),
        tokenizer_files=checkpoint.tokenizer_files,
        tokenizer_changes=checkpoint.changes,
        chat_template=chat_template,
        tensors=tensor_plans(checkpoint, config),
        leftovers=leftovers(checkpoint),
        preprocessing=preprocessing(checkpoint, mode="pad" if is_padded else "plain"),
    )


LAYOUT = Layout(
    name="llava-1.5",
    description="LLaVA-1.5 in the layout of its own code (LlavaLlamaForCausalLM).",
    recognise=_recognise,
    plan=_plan,
)
