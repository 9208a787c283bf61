"""TinyLLaVA Factory's exports: SigLIP, CLIP or DINOv2 before one of five language models.

Whatever the encoder, the published code cuts off its first token when
`vision_feature_select_strategy` is "patch", its default. SigLIP has no class token, so its first
patch is lost: 728 image tokens of 729. The models were trained so and are imported so.

White space around a question with an image, which the published template removes, is left. The
folders that its pretraining stage writes (`language_model/`, `vision_tower/`, `connector/`) are
no export and are not imported.

Source:
    TinyLLaVA/TinyLLaVA_Factory (commit 53f12c7): `model/modeling_tinyllava.py`,
    `model/configuration_tinyllava.py`, `model/vision_tower/`, `model/connector/`, `model/llm/`,
    `data/template/`, `data/image_preprocess.py`; transformers 4.40, which it pins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.importers.layout import ImportPlan, Layout, Source, read_object, required
from tinymed.models.importers.llava_parts import (
    Connector,
    Language,
    Parts,
    image_mode,
    keeps_first,
    llava_plan,
    spoken_until,
)
from tinymed.models.importers.stored_tensors import source_tensors
from tinymed.models.importers.text_configs import text_config
from tinymed.models.importers.tokenizer_files import find_tokenizer_files
from tinymed.models.importers.vision_encoders import DINOV2, VisionEncoder, vision_encoder
from tinymed.models.llava_head_bias import (
    LlavaHeadBiasConfig,
    LlavaHeadBiasForConditionalGeneration,
)

_ENDS_OF_ANSWER = {
    "llama": ("</s>",),
    "phi": ("<|endoftext|>",),
    "stablelm": ("<|endoftext|>",),
    "gemma": ("<eos>",),
    "qwen2": ("<|endoftext|>", "<|im_end|>"),
}
"""What the templates of each language model put behind an answer.

The export does not say with which template it was trained; those of one language model
differ in this alone, and each takes its tokenizer's own end of text.
"""


def recognise(config: dict[str, Any], folder: Path) -> bool:
    """Whether config.json's model_type is this layout's."""
    del folder
    return config.get("model_type") == "tinyllava"


def plan(source: Source) -> ImportPlan:
    """Plan a TinyLLaVA Factory export.

    Raises:
        ModelError: If it has a part that transformers' LLaVA does not: OpenELM, a mixture of
            encoders, a resampler or a Q-Former.
    """
    config = read_object(source.folder / "config.json")
    text = required(config, "text_config", source.folder)
    kind = text.get("model_type")
    if kind not in _ENDS_OF_ANSWER:
        raise ModelError(
            f"Its language model is '{kind}'; there is an importer for "
            f"{', '.join(sorted(_ENDS_OF_ANSWER))}."
        )
    language = text_config(kind, text)
    # The published code multiplies by this whatever enters Gemma, and today's transformers
    # only the tokens' embeddings.
    scale = language["hidden_size"] ** 0.5 if kind == "gemma" else 1.0
    files = find_tokenizer_files(source.tokenizer, source.folder)
    if kind == "gemma" and all(file.name != "tokenizer.json" for file in files):
        raise ModelError(
            "Gemma's tokenizer.model cannot be read here. Name a folder that holds its "
            "tokenizer.json as well."
        )
    parts = Parts(
        vision=_vision(required(config, "vision_config", source.folder)),
        vision_feature_layer=config.get("vision_feature_layer", -2),
        keeps_first=keeps_first(config.get("vision_feature_select_strategy", "patch")),
        connector=Connector(
            kind=required(config, "connector_type", source.folder),
            prefix="connector._connector",
            scale=scale,
        ),
        language=Language(config=language, body="language_model.model.", head="language_model."),
        tokenizer_files=files,
        speech=spoken_until(_end_of_answer(kind, files), files),
        image_mode=image_mode(config.get("image_aspect_ratio")),
    )
    if kind == "phi":  # transformers' Phi has, and had, a bias in its output layer
        parts = replace(
            parts,
            config={
                "model_type": LlavaHeadBiasConfig.model_type,
                "architectures": [LlavaHeadBiasForConditionalGeneration.__name__],
            },
        )
    return llava_plan(parts, source_tensors(source))


def _vision(config: Mapping[str, Any]) -> VisionEncoder:
    inner = "" if config.get("model_type") == DINOV2 else "vision_model."
    return vision_encoder(config, f"vision_tower._vision_tower.{inner}")


def _end_of_answer(kind: str, files: tuple[Path, ...]) -> str:
    known = _ENDS_OF_ANSWER[kind]
    if len(known) == 1:
        return known[0]
    settings = [file for file in files if file.name == "tokenizer_config.json"]
    end = read_object(settings[0]).get("eos_token") if settings else None
    text = end.get("content") if isinstance(end, dict) else end
    if text not in known:
        raise ModelError(f"Its tokenizer ends texts with '{text}', not with {' or '.join(known)}.")
    return str(text)


LAYOUT = Layout(
    name="tinyllava-factory",
    description="TinyLLaVA Factory's exports, with Llama, Phi, StableLM, Gemma or Qwen2.",
    recognise=recognise,
    plan=plan,
)
