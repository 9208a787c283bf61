"""LLaVA-Med v1.0: delta weights to be added to LLaMA-7B, CLIP-L/14-224, one linear layer.

Source:
    microsoft/LLaVA-Med v1.0.0: model/apply_delta.py, model/llava.py, eval/model_vqa_med.py,
    conversation.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tinymed.errors import ModelError
from tinymed.models.importers.chat_template import llava_med_simple
from tinymed.models.importers.layout import (
    BASE,
    ImportPlan,
    Layout,
    Source,
    TensorPlan,
    read_object,
    refuse_other,
)
from tinymed.models.importers.llava import read_parts
from tinymed.models.importers.llava_parts import CONNECTOR, Connector, llava_plan
from tinymed.models.importers.placing import place
from tinymed.models.importers.stored_tensors import source_tensors
from tinymed.models.importers.vision_encoders import RESULT as VISION

PATCH, START, END = "<im_patch>", "<im_start>", "<im_end>"
STOP = "###"


def _recognise(config: dict[str, Any], _folder: Path) -> bool:
    return (
        config.get("model_type") == "llava"
        and config.get("architectures") == ["LlavaLlamaForCausalLM"]
        and config.get("mm_projector_type") is None
        and config.get("use_mm_proj") is True
    )


def _plan(source: Source) -> ImportPlan:
    if source.base is None:
        raise ModelError(
            f"'{source.folder}' holds delta weights. Name the folder of LLaMA-7B, to which they "
            "are to be added, as the base."
        )
    config = read_object(source.folder / "config.json")
    refuse_other(
        config,
        {"mm_projector_type": ("linear", None), "mm_use_im_start_end": (True, False, None)},
        source.folder,
    )
    stored = source_tensors(source)
    has_ends = bool(config.get("mm_use_im_start_end", False))
    template = llava_med_simple(START + PATCH + END if has_ends else PATCH)
    parts = read_parts(source, config, stored, text="llama", chat_template=template, mode="plain")
    summed = replace(
        parts,
        # Its code takes the last layer where its config is silent.
        vision_feature_layer=config.get("mm_vision_select_layer", -1),
        connector=Connector(kind="linear", prefix="model.mm_projector"),
        speech=replace(parts.speech, stop_strings=(STOP,), added=(PATCH, START, END), image=PATCH),
        config={"dtype": "float16"},
    )
    plan = llava_plan(summed, stored)
    _refuse_unknown_tokens(plan, config["vocab_size"], source)
    return replace(
        plan,
        tensors=tuple(_added(tensor) for tensor in plan.tensors),
        leftovers={
            **plan.leftovers,
            **{BASE + name: why for name, why in plan.leftovers.items()},
        },
    )


def _added(tensor: TensorPlan) -> TensorPlan:
    """A tensor of the language model with the base's added, the connector's in 16 bits."""
    if tensor.name.startswith(VISION):
        return tensor
    if tensor.name.startswith(CONNECTOR):
        return replace(tensor, make=lambda tensors: tensor.make(tensors).to(torch.float16))
    (original,) = tensor.sources
    has_rows = tensor.name.endswith(("embed_tokens.weight", "lm_head.weight"))
    make = _sum_of_rows if has_rows else _sum
    return place(tensor.name, original, BASE + original, make=make)


def _sum(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Delta and base in 16 bits, as published."""
    delta, base = tensors
    if delta.shape != base.shape:
        raise ValueError("delta and base differ in shape")
    return delta.to(torch.float16) + base.to(torch.float16)


def _sum_of_rows(tensors: list[torch.Tensor]) -> torch.Tensor:
    """The same where the base has fewer tokens; those it lacks stay as the delta has them."""
    delta, base = tensors
    result = delta.to(torch.float16, copy=True)
    result[: base.shape[0]] += base.to(torch.float16)
    return result


def _refuse_unknown_tokens(plan: ImportPlan, num_rows: int, source: Source) -> None:
    num_tokens = plan.config["text_config"]["vocab_size"]
    if num_tokens > num_rows:
        raise ModelError(
            f"The tokenizer of '{source.folder}' has tokens up to id {num_tokens - 1} "
            f"and the embeddings have {num_rows} rows. Name the tokenizer that came with them."
        )


LAYOUT = Layout(
    name="llava-med-1.0-delta",
    description="LLaVA-Med v1.0: delta weights, added to LLaMA-7B while importing.",
    recognise=_recognise,
    plan=_plan,
)
