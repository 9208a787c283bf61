"""Med-MoE's checkpoints: Phi-2 and StableLM-2 with a mixture of experts in every other layer.

The layers' arithmetic is in `tinymed.models.moe_language`, with what departs from the
published code. Two of its defects are not repeated: with three rows in a batch it takes a
plain layer's output for an expert layer's, and it needs DeepSpeed's process group to answer.

Published answers were made without padding, though training padded images to squares
(`image_aspect_ratio` says pad): the importer keeps to what answered.

Source:
    jiangsongtao/Med-MoE (commit 148cbd6): `moe/`, `moellava/model/language_model/llava_phi_moe.py`
    and `llava_stablelm_moe.py`, `llava_arch.py`, `multimodal_projector/builder.py`,
    `model_vqa_med.py`, `moellava/conversation.py` (`phi` and `stablelm`, which are the same).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
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
    keeps_first,
    llava_plan,
    spoken_until,
)
from tinymed.models.importers.stored_tensors import source_tensors
from tinymed.models.importers.text_configs import stablelm_epoch_config, text_config
from tinymed.models.importers.tokenizer_files import find_tokenizer_files
from tinymed.models.importers.vision_encoders import own_or_stock_encoder
from tinymed.models.moe_language import MoePhiConfig, MoeStableLmConfig

_OWN_ENCODER = "model.image_tower.image_tower.vision_model."
_PUBLISHED_NAMES = {
    ".mlp.router.": ".mlp.deepspeed_moe.gate.wg.",
    ".mlp.experts.": ".mlp.deepspeed_moe.experts.deepspeed_experts.",
    ".mlp.meta_expert.": ".mlp.meta_moe.",
}
_RESULTS = {
    "moe_llava_phi": MoePhiConfig.model_type,
    "moe_llava_stablelm": MoeStableLmConfig.model_type,
}
"""Our language model by config.json's model_type."""
_MOST_EXPERTS = 8
"""With more, the published layer would drop tokens when two experts are chosen."""


def recognise(config: dict[str, Any], folder: Path) -> bool:
    """Whether config.json's model_type is one of this layout's."""
    del folder
    return config.get("model_type") in _RESULTS


def plan(source: Source) -> ImportPlan:
    """Plan a Med-MoE checkpoint.

    Raises:
        ModelError: If it has a part that no published one has.
    """
    config = read_object(source.folder / "config.json")
    stored = source_tensors(source)
    refuse_other(config, {"mm_use_im_start_end": (False, None)}, source.folder)
    language = _text_config(config) | _experts(required(config, "moe", source.folder))
    tower = required(config, "mm_image_tower", source.folder)
    files = find_tokenizer_files(source.tokenizer, source.folder)
    parts = Parts(
        vision=own_or_stock_encoder(source, stored, own=_OWN_ENCODER, name=tower),
        vision_feature_layer=required(config, "mm_vision_select_layer", source.folder),
        keeps_first=keeps_first(config.get("mm_vision_select_feature", "patch")),
        connector=Connector(
            kind=config.get("image_projector_type", "linear"),
            prefix="model.mm_projector.image_spatial_proj",
        ),
        language=Language(config=language, published_name=_published_name),
        tokenizer_files=files,
        speech=spoken_until("<|endoftext|>", files),
        image_mode="plain",
    )
    return llava_plan(parts, stored)


def _text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    kind = config["model_type"]
    plain = (
        stablelm_epoch_config(config)
        if kind == "moe_llava_stablelm"
        else text_config("phi", config)
    )
    return plain | {"model_type": _RESULTS[kind]}


def _experts(moe: Mapping[str, Any]) -> dict[str, Any]:
    """The expert layers in our configuration's words."""
    layers, numbers, top_k = (
        moe.get(key) for key in ("moe_layers_idx", "num_experts", "top_k_experts")
    )
    if not layers or not numbers or len(layers) != len(numbers) or top_k not in (1, 2):
        raise ModelError(
            "Its config.json does not say which layers have how many experts, and whether 1 or 2 "
            "are chosen (moe: moe_layers_idx, num_experts, top_k_experts)."
        )
    if moe.get("use_residual"):
        raise ModelError(
            "Its expert layers weigh a further perceptron (use_residual), which no published "
            "Med-MoE does."
        )
    if max(numbers) > _MOST_EXPERTS:
        raise ModelError(
            f"Its layers have {max(numbers)} experts; up to {_MOST_EXPERTS} are known."
        )
    return {"moe_layers": layers, "moe_num_experts": numbers, "moe_top_k": top_k}


def _published_name(name: str) -> str:
    for ours, published in _PUBLISHED_NAMES.items():
        name = name.replace(ours, published)
    return name


LAYOUT = Layout(
    name="med-moe",
    description="Med-MoE: Phi-2 or StableLM-2 with experts in every other layer.",
    recognise=recognise,
    plan=plan,
)
