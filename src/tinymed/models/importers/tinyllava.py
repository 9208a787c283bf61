"""TinyLLaVABench's checkpoints: TinyLLaVA-1.5B, -2.0B, -3.1B, and TinyLLaVA-Med-F.

The vision encoder is read as the published code reads it, which is not what the config says:
its SigLIP class deletes the encoder's last layer when it is made, and takes the output of the
last that is left, not normed, whatever `mm_vision_select_layer` holds. CLIP follows the config.

Source:
    DLCV-BUAA/TinyLLaVABench (commit 2d2105f): `model/builder.py`, `multimodal_encoder/`,
    `multimodal_projector/builder.py`, `language_model/llava_*.py`, `mm_utils.py`,
    `conversation.py` (`v1` for TinyLlama, `phi` for Phi-2 and StableLM-2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    image_mode,
    keeps_first,
    llava_plan,
    spoken_until,
)
from tinymed.models.importers.stored_tensors import StoredTensor, source_tensors
from tinymed.models.importers.text_configs import stablelm_epoch_config, text_config
from tinymed.models.importers.tokenizer_files import find_tokenizer_files
from tinymed.models.importers.vision_encoders import (
    SIGLIP,
    VisionEncoder,
    num_layers,
    own_or_stock_encoder,
)

_OWN_ENCODER = "model.vision_tower.vision_tower.vision_model."

END_OF_ANSWER = {
    "tiny_llava": "</s>",
    "tiny_llava_phi": "<|endoftext|>",
    "tiny_llava_stablelm": "<|endoftext|>",
}
"""By config.json's model_type; the languages are TinyLlama, Phi-2 and StableLM-2."""


def recognise(config: dict[str, Any], folder: Path) -> bool:
    """Whether config.json's model_type is one of this layout's."""
    del folder
    return config.get("model_type") in END_OF_ANSWER


def plan(source: Source) -> ImportPlan:
    """Plan a TinyLLaVABench checkpoint.

    Raises:
        ModelError: If it has a part that transformers' LLaVA does not.
    """
    config = read_object(source.folder / "config.json")
    stored = source_tensors(source)
    refuse_other(config, {"mm_use_im_start_end": (False, None)}, source.folder)
    tower = required(config, "mm_vision_tower", source.folder)
    encoder = own_or_stock_encoder(source, stored, own=_OWN_ENCODER, name=tower)
    layer = required(config, "mm_vision_select_layer", source.folder)
    keeps = keeps_first(config.get("mm_vision_select_feature", "patch"))
    if encoder.kind == SIGLIP:
        encoder, layer, keeps = _as_published(encoder, stored), -1, True
    files = find_tokenizer_files(source.tokenizer, source.folder)
    parts = Parts(
        vision=encoder,
        vision_feature_layer=layer,
        keeps_first=keeps,
        connector=Connector(
            kind=config.get("mm_projector_type", "linear"), prefix="model.mm_projector"
        ),
        language=Language(config=_text_config(config)),
        tokenizer_files=files,
        speech=spoken_until(END_OF_ANSWER[config["model_type"]], files),
        image_mode=image_mode(config.get("image_aspect_ratio")),
    )
    return llava_plan(parts, stored)


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    if config["model_type"] == "tiny_llava_stablelm":
        return stablelm_epoch_config(config)
    return text_config(
        {"tiny_llava": "llama", "tiny_llava_phi": "phi"}[config["model_type"]], config
    )


def _as_published(encoder: VisionEncoder, stored: Mapping[str, StoredTensor]) -> VisionEncoder:
    """SigLIP as the published class makes it: no last layer, no head."""
    kept = num_layers(stored, encoder.prefix)
    if encoder.prefix != _OWN_ENCODER:  # the checkpoint's own was saved without them
        kept -= 1
    without = (f"{encoder.prefix}encoder.layers.{kept}.", f"{encoder.prefix}head.")
    why = "the published code deletes SigLIP's last layer and its head"
    return replace(
        encoder,
        config=encoder.config | {"num_hidden_layers": kept, "vision_use_head": False},
        leftovers=dict(encoder.leftovers)
        | {name: why for name in stored if name.startswith(without)},
    )


LAYOUT = Layout(
    name="tinyllava",
    description="TinyLLaVABench's own files: TinyLLaVA-1.5B, 2.0B, 3.1B, TinyLLaVA-Med-F.",
    recognise=recognise,
    plan=plan,
)
