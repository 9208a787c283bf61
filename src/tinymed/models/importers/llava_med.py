"""LLaVA-Med v1.5 as its own code writes it: a tuned CLIP-L/14-336 and Mistral.

The published loader builds the vision encoder anew from OpenAI's weights and so drops the
tuned ones that lie in the checkpoint; here they are used.

Source:
    microsoft/LLaVA-Med d406e3f: model/llava_arch.py, model/builder.py, conversation.py,
    README (`--conv-mode mistral_instruct`); issues #105 and #109.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.importers.chat_template import MISTRAL_INSTRUCT
from tinymed.models.importers.layout import ImportPlan, Layout, Source
from tinymed.models.importers.llava import square_image_plan


def _recognise(config: dict[str, Any], _folder: Path) -> bool:
    return (
        config.get("model_type") == "llava_mistral"
        and config.get("architectures") == ["LlavaMistralForCausalLM"]
        and config.get("image_aspect_ratio") != "anyres"
    )


def _plan(source: Source) -> ImportPlan:
    if source.vision is not None:
        raise ModelError(
            "LLaVA-Med v1.5 answers with its own tuned vision encoder, which lies in the "
            "checkpoint. Do not name another one."
        )
    return square_image_plan(source, text="mistral", chat_template=MISTRAL_INSTRUCT)


LAYOUT = Layout(
    name="llava-med-1.5",
    description="LLaVA-Med v1.5 in its own layout, with its own tuned vision encoder.",
    recognise=_recognise,
    plan=_plan,
)
