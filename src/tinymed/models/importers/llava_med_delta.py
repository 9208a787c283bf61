"""LLaVA-Med v1.0: delta weights to be added to LLaMA-7B, CLIP-L/14-224, one linear layer.

Source:
    microsoft/LLaVA-Med v1.0.0: model/apply_delta.py, model/llava.py, eval/model_vqa_med.py,
    conversation.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tinymed.errors import ModelError
from tinymed.models.importers.chat_template import llava_med_simple
from tinymed.models.importers.layout import BASE, ImportPlan, Layout, Source, TensorPlan
from tinymed.models.importers.llava_family import (
    EMBEDDINGS,
    Checkpoint,
    leftovers,
    model_config,
    preprocessing,
    processor_files,
    read_checkpoint,
    refuse_other,
    tensor_plans,
)
from tinymed.models.importers.placing import place

PATCH, START, END = "<im_patch>", "<im_start>", "<im_end>"
PROJECTOR = "model.mm_projector."
FIRST, SECOND = "model.multi_modal_projector.linear_1.", "model.multi_modal_projector.linear_2."
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
    checkpoint = read_checkpoint(source, added=(PATCH, START, END), image=PATCH, text="llama")
    refuse_other(
        checkpoint.config,
        {"mm_projector_type": ("linear", None), "mm_use_im_start_end": (True, False, None)},
        source.folder,
    )
    _refuse_unknown_tokens(checkpoint, source)
    config = model_config(
        checkpoint,
        dtype="float16",
        projector_hidden_act="linear",
        # Its code takes the last layer where its config is silent.
        vision_feature_layer=checkpoint.config.get("mm_vision_select_layer", -1),
    )
    has_ends = bool(checkpoint.config.get("mm_use_im_start_end", False))
    return ImportPlan(
        config=config,
        processor=processor_files(checkpoint, config, image=PATCH, do_pad=False),
        tokenizer_files=checkpoint.tokenizer_files,
        tokenizer_changes=checkpoint.changes,
        chat_template=llava_med_simple(START + PATCH + END if has_ends else PATCH),
        tensors=_tensors(checkpoint, config),
        leftovers=leftovers(checkpoint, BASE),
        preprocessing=preprocessing(checkpoint, mode="plain"),
        stop_strings=(STOP,),
    )


def _tensors(checkpoint: Checkpoint, config: dict[str, Any]) -> tuple[TensorPlan, ...]:
    weight = PROJECTOR + "weight"
    projector = {
        FIRST + "weight": place(FIRST + "weight", weight, make=_halved),
        FIRST + "bias": place(FIRST + "bias", PROJECTOR + "bias", make=_halved),
        # transformers' connector has a second layer: one that changes nothing.
        SECOND + "weight": place(SECOND + "weight", weight, make=_unchanging),
        SECOND + "bias": place(SECOND + "bias", PROJECTOR + "bias", make=_noughts),
    }
    embeddings = {
        name: place(name, original, BASE + original, make=_sum_of_rows)
        for name, original in EMBEDDINGS.items()
    }
    return tuple(
        _added(tensor) for tensor in tensor_plans(checkpoint, config, apart=projector | embeddings)
    )


def _added(tensor: TensorPlan) -> TensorPlan:
    """A tensor of the language model with the base's added; another as it is."""
    if len(tensor.sources) == 1 and tensor.name.startswith("model.language_model."):
        (original,) = tensor.sources
        return place(tensor.name, original, BASE + original, make=_sum)
    return tensor


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


def _halved(tensors: list[torch.Tensor]) -> torch.Tensor:
    (tensor,) = tensors
    return tensor.to(torch.float16)


def _unchanging(tensors: list[torch.Tensor]) -> torch.Tensor:
    (weight,) = tensors
    return torch.eye(weight.shape[0], dtype=torch.float16, device=weight.device)


def _noughts(tensors: list[torch.Tensor]) -> torch.Tensor:
    (bias,) = tensors
    return torch.zeros_like(bias, dtype=torch.float16)


def _refuse_unknown_tokens(checkpoint: Checkpoint, source: Source) -> None:
    num_rows = checkpoint.config["vocab_size"]
    if checkpoint.num_rows > num_rows:
        raise ModelError(
            f"The tokenizer of '{source.folder}' has tokens up to id {checkpoint.num_rows - 1} "
            f"and the embeddings have {num_rows} rows. Name the tokenizer that came with them."
        )


LAYOUT = Layout(
    name="llava-med-1.0-delta",
    description="LLaVA-Med v1.0: delta weights, added to LLaMA-7B while importing.",
    recognise=_recognise,
    plan=_plan,
)
