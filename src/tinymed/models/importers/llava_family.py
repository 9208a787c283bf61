"""What the layouts that descend from LLaVA's code have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.importers.clip_tower import BICUBIC, MEAN, STD, ClipTower, find_tower
from tinymed.models.importers.layout import (
    Source,
    TensorPlan,
    TokenizerChanges,
    read_object,
)
from tinymed.models.importers.llama_config import text_config
from tinymed.models.importers.placing import grown_to, place, placed_below
from tinymed.models.importers.stored_tensors import StoredTensor, source_tensors
from tinymed.models.importers.tokenizer_files import changed, find_tokenizer_files

IMAGE = "<image>"
EMBEDDINGS = {
    "model.language_model.embed_tokens.weight": "model.embed_tokens.weight",
    "lm_head.weight": "lm_head.weight",
}
"""Tensors with a row for each token: theirs and the original's names."""
MLP2X = {
    "model.multi_modal_projector.linear_1.": "model.mm_projector.0.",
    "model.multi_modal_projector.linear_2.": "model.mm_projector.2.",
}
"""Two linear layers with a GELU between them, which is number 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """An original whose parts have been found; no weight has been read."""

    config: dict[str, Any]
    stored: dict[str, StoredTensor]
    text: dict[str, Any]
    """text_config of the result."""
    tower: ClipTower
    tokenizer_files: tuple[Path, ...]
    changes: TokenizerChanges
    image_id: int
    """Of the token in whose places the image's features go."""
    num_rows: int
    """Of the embeddings of the result."""


def read_checkpoint(
    source: Source, *, added: tuple[str, ...] = (IMAGE,), image: str = IMAGE, text: str
) -> Checkpoint:
    """Find the parts of a checkpoint.

    Args:
        source: Where it lies.
        added: Tokens that the tokenizer gets, unless it has them.
        image: The one of them that stands for the image.
        text: transformers' model_type of the language model.

    Raises:
        ModelError: If a part is missing.
    """
    config = read_object(source.folder / "config.json")
    stored = source_tensors(source)
    files = find_tokenizer_files(source.folder, source.tokenizer, source.base)
    changes = TokenizerChanges(added=added)
    tokenizer = changed(files, changes)
    image_id: int | None = tokenizer.token_to_id(image)
    assert image_id is not None, image
    language = text_config(config, source.folder, model_type=text)
    _refuse_other_rows(stored, language["vocab_size"])
    num_rows = max(language["vocab_size"], image_id + 1)
    return Checkpoint(
        config=config,
        stored=stored,
        text=language | {"vocab_size": num_rows},
        tower=find_tower(source, config, stored),
        tokenizer_files=files,
        changes=changes,
        image_id=image_id,
        num_rows=num_rows,
    )


def _refuse_other_rows(stored: Mapping[str, StoredTensor], vocab_size: int) -> None:
    """Rows are added for the image token, so the original's number is looked at apart."""
    for name in EMBEDDINGS.values():
        shape = stored[name].shape if name in stored else (vocab_size,)
        if shape[:1] != (vocab_size,):
            raise ModelError(
                f"'{name}' has the shape {shape} and the checkpoint's config a vocab_size of "
                f"{vocab_size}. Fetch the checkpoint again."
            )


def model_config(checkpoint: Checkpoint, **others: Any) -> dict[str, Any]:
    """config.json of a LLaVA of transformers."""
    strategies = {"patch": "default", "cls_patch": "full"}
    feature = checkpoint.config.get("mm_vision_select_feature", "patch")
    if feature not in strategies:
        raise ModelError(f"mm_vision_select_feature is '{feature}', which LLaVA does not know.")
    return {
        "model_type": "llava",
        "architectures": ["LlavaForConditionalGeneration"],
        "dtype": checkpoint.config.get("torch_dtype") or "float16",
        "text_config": checkpoint.text,
        "vision_config": checkpoint.tower.config,
        "image_token_index": checkpoint.image_id,
        "image_seq_length": checkpoint.tower.num_patches,
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "vision_feature_layer": checkpoint.config.get("mm_vision_select_layer", -2),
        "vision_feature_select_strategy": strategies[feature],
        "tie_word_embeddings": checkpoint.text.get("tie_word_embeddings", False),
        **others,
    }


def tensor_plans(
    checkpoint: Checkpoint,
    config: Mapping[str, Any],
    *,
    projector: Mapping[str, str] | None = None,
    apart: Mapping[str, TensorPlan] | None = None,
) -> tuple[TensorPlan, ...]:
    """A plan for every tensor of the result."""
    rows = grown_to(checkpoint.num_rows)
    return placed_below(
        config,
        {
            **(MLP2X if projector is None else projector),
            "model.vision_tower.": checkpoint.tower.prefix,
            "model.language_model.": "model.",
        },
        apart={
            **{name: place(name, original, make=rows) for name, original in EMBEDDINGS.items()},
            **(apart or {}),
        },
    )


def leftovers(checkpoint: Checkpoint, *prefixes: str) -> dict[str, str]:
    """Tensors that are known to have no place; `prefixes` are those of other folders."""
    rotary = {
        f"{prefix}model.layers.{index}.self_attn.rotary_emb.inv_freq": "computed from rope_theta"
        for prefix in ("", *prefixes)
        for index in range(checkpoint.text["num_hidden_layers"])
    }
    return rotary | checkpoint.tower.leftovers


def processor_files(
    checkpoint: Checkpoint,
    config: Mapping[str, Any],
    *,
    kind: str = "Llava",
    image: str = IMAGE,
    **image_settings: Any,
) -> dict[str, dict[str, Any]]:
    """preprocessor_config.json, processor_config.json and generation_config.json."""
    size_px = checkpoint.tower.size_px
    images = {
        "image_processor_type": f"{kind}ImageProcessorPil",
        "size": {"shortest_edge": size_px},
        "crop_size": {"height": size_px, "width": size_px},
        "resample": BICUBIC,
        "image_mean": list(MEAN),
        "image_std": list(STD),
        "rescale_factor": 1 / 255,
        "do_convert_rgb": True,
        "do_resize": True,
        "do_center_crop": True,
        "do_rescale": True,
        "do_normalize": True,
        **image_settings,
    }
    processor = {
        "processor_class": f"{kind}Processor",
        "image_token": image,
        "patch_size": checkpoint.tower.patch_px,
        "num_additional_image_tokens": 1,
        "vision_feature_select_strategy": config["vision_feature_select_strategy"],
    }
    tokens = {
        key: checkpoint.config[key]
        for key in ("bos_token_id", "eos_token_id", "pad_token_id")
        if checkpoint.config.get(key) is not None
    }
    return {
        "preprocessor_config.json": images | {"processor_class": f"{kind}Processor"},
        "processor_config.json": processor,
        # The image token's logit means nothing: it may never be an answer.
        "generation_config.json": {**tokens, "suppress_tokens": [checkpoint.image_id]},
    }


def preprocessing(checkpoint: Checkpoint, *, mode: str) -> dict[str, Any]:
    """What import.json says of images: `mode` is pad, plain or anyres."""
    facts = {
        "image_mode": mode,
        "size_px": checkpoint.tower.size_px,
        "mean": list(MEAN),
        "std": list(STD),
        "resample": "bicubic",
    }
    if mode == "pad":
        facts["pad_colour"] = [int(255 * share) for share in MEAN]
    return facts


def refuse_other(
    config: Mapping[str, Any], wanted: Mapping[str, tuple[Any, ...]], path: Path
) -> None:
    """Refuse a checkpoint that says of itself what this layout does not do.

    Raises:
        ModelError: Names the key, its value and what it may be; a missing key is None.
    """
    for key, values in wanted.items():
        if config.get(key) not in values:
            may_be = " or ".join(map(repr, values))
            raise ModelError(
                f"'{path / 'config.json'}' has {key} {config.get(key)!r}; this layout is imported "
                f"with {may_be} only."
            )
