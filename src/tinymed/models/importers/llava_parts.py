"""A plan put together from the parts of a LLaVA-like checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tinymed.errors import ModelError
from tinymed.models.importers.chat_template import vicuna
from tinymed.models.importers.integrity import empty_model, state_shapes
from tinymed.models.importers.layout import ImportPlan, TensorPlan, TokenizerChanges
from tinymed.models.importers.placing import Make, as_it_is, grown_to, place
from tinymed.models.importers.stored_tensors import StoredTensor
from tinymed.models.importers.tokenizer_files import changed, read_tokenizer
from tinymed.models.importers.vision_encoders import RESULT as _VISION
from tinymed.models.importers.vision_encoders import VisionEncoder, preprocessor

IMAGE = "<image>"
CONNECTOR = "model.multi_modal_projector."
_LANGUAGE = "model.language_model."
_EMBEDDING = f"{_LANGUAGE}embed_tokens.weight"

CONNECTOR_ACTIVATIONS = {"linear": "linear", "mlp2x_gelu": "gelu"}
"""transformers' name of what stands between the connector's two layers, by published kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """What a plan needs to know of a connector."""

    kind: str
    """linear or mlp2x_gelu, as configs call them."""
    prefix: str
    """What stands before `.weight` or `.0.weight`."""
    scale: float = 1.0
    """What its output is multiplied with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What a plan needs to know of a language model."""

    config: dict[str, Any]
    """The `text_config` of a transformers model."""
    body: str = "model."
    head: str = ""
    """What stands before `lm_head`."""
    published_name: Callable[[str], str] = str
    """From a name below transformers' language model to the name below the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """How a model is spoken to, and what ends its answers."""

    chat_template: str
    generation: Mapping[str, Any]
    """generation_config.json, but for the image token."""
    stop_strings: tuple[str, ...] = ()
    added: tuple[str, ...] = (IMAGE,)
    """Tokens that the tokenizer gets, unless it has them."""
    image: str = IMAGE
    """The one of them that stands for the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What differs between the layouts."""

    vision: VisionEncoder
    vision_feature_layer: int
    """Which hidden state of the encoder is read; -1 is the last, not normed."""
    keeps_first: bool
    """Whether the encoder's first token is read too; without it, SigLIP loses a patch."""
    connector: Connector
    language: Language
    tokenizer_files: tuple[Path, ...]
    speech: Speech
    image_mode: str
    """What is done to an image that is no square: "pad", "plain" or "anyres"."""
    image_settings: Mapping[str, Any] = field(default_factory=dict)
    """Of preprocessor_config.json, where they are not those of the encoder's kind."""
    processor: str = "LlavaProcessor"
    """transformers' class."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Of config.json, where it is not LLaVA's."""


def llava_plan(parts: Parts, stored: Mapping[str, StoredTensor]) -> ImportPlan:
    """The complete plan.

    The image gets a token of its own, behind those of the tokenizer, where it has none. Most
    published code splices the image's features in between the tokens before and behind.

    Raises:
        ModelError: If the connector is of another kind, or the embedding has not one row for
            each token.
    """
    if parts.connector.kind not in CONNECTOR_ACTIVATIONS:
        raise ModelError(
            f"Its connector is '{parts.connector.kind}'; there is an importer for "
            f"{' and '.join(CONNECTOR_ACTIVATIONS)}."
        )
    speech = parts.speech
    changes = TokenizerChanges(added=speech.added)
    image_id = changed(parts.tokenizer_files, changes).token_to_id(speech.image)
    assert image_id is not None, speech.image
    config = _config(parts, image_id, _dtype(parts.language, stored))
    pre = preprocessor(parts.vision, pads=parts.image_mode == "pad") | dict(parts.image_settings)
    return ImportPlan(
        config=config,
        processor={
            "preprocessor_config.json": pre | {"processor_class": parts.processor},
            "processor_config.json": {
                "processor_class": parts.processor,
                "image_token": speech.image,
                "num_additional_image_tokens": parts.vision.num_extra_tokens,
                "patch_size": parts.vision.config["patch_size"],
                "vision_feature_select_strategy": config["vision_feature_select_strategy"],
            },
            # The image token's logit means nothing: it may never be an answer.
            "generation_config.json": {**speech.generation, "suppress_tokens": [image_id]},
        },
        tokenizer_files=parts.tokenizer_files,
        tokenizer_changes=changes,
        chat_template=speech.chat_template,
        tensors=_tensors(parts, config, stored),
        leftovers=dict(parts.vision.leftovers) | _rotary(parts.language),
        preprocessing=_preprocessing(pre, parts.vision.config["image_size"], parts.image_mode),
        stop_strings=speech.stop_strings,
    )


def keeps_first(select_feature: str) -> bool:
    """What a config says of the encoder's first token.

    Raises:
        ModelError: If it has no published meaning.
    """
    known = {"patch": False, "cls_patch": True}
    if select_feature not in known:
        raise ModelError(f"It takes '{select_feature}' of the encoder; known: {', '.join(known)}.")
    return known[select_feature]


def image_mode(image_aspect_ratio: str | None) -> str:
    """What a config says of images that are not square.

    Raises:
        ModelError: If it cuts images into tiles, or has no published meaning.
    """
    known = {"pad": "pad", "square": "plain", None: "plain"}
    if image_aspect_ratio not in known:
        raise ModelError(
            f"Its image_aspect_ratio is '{image_aspect_ratio}'; there is an importer for pad "
            "and square."
        )
    return known[image_aspect_ratio]


def spoken_until(end_of_answer: str, tokenizer_files: tuple[Path, ...]) -> Speech:
    """LLaVA's `v1`, with the token that a layout puts behind each answer.

    Raises:
        ModelError: If the tokenizer lacks the token.
    """
    end_id = read_tokenizer(tokenizer_files).token_to_id(end_of_answer)
    if end_id is None:
        raise ModelError(
            f"Its tokenizer has no '{end_of_answer}', which ends an answer in this layout."
        )
    return Speech(
        chat_template=vicuna(end_of_answer),
        generation={"do_sample": False, "eos_token_id": end_id},
    )


def _config(parts: Parts, image_id: int, dtype: str) -> dict[str, Any]:
    vision, text = parts.vision, parts.language.config
    num_image_tokens = vision.num_patches + vision.num_extra_tokens - (not parts.keeps_first)
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "dtype": dtype,
        "image_seq_length": num_image_tokens,
        "image_token_index": image_id,
        "projector_hidden_act": CONNECTOR_ACTIVATIONS[parts.connector.kind],
        "text_config": text | {"vocab_size": max(text["vocab_size"], image_id + 1)},
        "tie_word_embeddings": text["tie_word_embeddings"],
        "vision_config": vision.config,
        "vision_feature_layer": parts.vision_feature_layer,
        "vision_feature_select_strategy": "full" if parts.keeps_first else "default",
        **parts.config,
    }


def _tensors(
    parts: Parts, config: Mapping[str, Any], stored: Mapping[str, StoredTensor]
) -> tuple[TensorPlan, ...]:
    """A plan for every tensor that transformers' class has."""
    language, connector = parts.language, _connector(parts.connector)
    names = state_shapes(empty_model(config))
    with_rows = _with_rows(language, config["text_config"]["vocab_size"], stored)
    _refuse_other_rows([with_rows[name] for name in names if name in with_rows], language, stored)
    plans = []
    for name in names:
        if name.startswith(_VISION):
            plans.append(parts.vision.tensor(name))
        elif name in connector or name in with_rows:
            plans.append((connector | with_rows)[name])
        elif name.startswith(_LANGUAGE):
            below = language.published_name(name.removeprefix(_LANGUAGE))
            plans.append(place(name, language.body + below))
        else:
            plans.append(place(name, name))
    return tuple(plans)


def _with_rows(
    language: Language, num_rows: int, stored: Mapping[str, StoredTensor]
) -> dict[str, TensorPlan]:
    """Plans of the tensors that have a row for each token, grown for those that were added."""
    embedding = f"{language.body}embed_tokens.weight"
    head, bias = f"{language.head}lm_head.weight", f"{language.head}lm_head.bias"
    grow = grown_to(num_rows)
    if language.config["tie_word_embeddings"]:
        there = [name for name in (embedding, head) if name in stored] or [embedding]
        return {_EMBEDDING: place(_EMBEDDING, *there, make=lambda same: grow([_one_of_same(same)]))}
    originals = {_EMBEDDING: embedding, "lm_head.weight": head, "lm_head.bias": bias}
    return {name: place(name, original, make=grow) for name, original in originals.items()}


def _refuse_other_rows(
    plans: list[TensorPlan], language: Language, stored: Mapping[str, StoredTensor]
) -> None:
    """Rows are added for new tokens, so the original's number is looked at apart."""
    num_rows = language.config["vocab_size"]
    for name in (source for plan in plans for source in plan.sources):
        if name in stored and stored[name].shape[:1] != (num_rows,):
            raise ModelError(
                f"'{name}' has the shape {stored[name].shape} and the checkpoint's config a "
                f"vocab_size of {num_rows}. Fetch the checkpoint again."
            )


def _connector(connector: Connector) -> dict[str, TensorPlan]:
    """Plans of the connector's tensors by their names."""
    scaled = as_it_is if connector.scale == 1.0 else _times(connector.scale)
    prefix, makes = connector.prefix, [as_it_is, as_it_is, scaled, scaled]
    if connector.kind == "linear":
        # transformers' connector has two layers. The second leaves everything as it is.
        sources = ["weight", "bias", "bias", "bias"]
        makes[2:] = [_identity(connector.scale), _noughts]
    else:
        sources = ["0.weight", "0.bias", "2.weight", "2.bias"]
    names = ["linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias"]
    return {
        CONNECTOR + name: place(CONNECTOR + name, f"{prefix}.{source}", make=make)
        for name, source, make in zip(names, sources, makes, strict=True)
    }


def _rotary(language: Language) -> dict[str, str]:
    why = "computed from rope_theta"
    return {
        f"{language.body}layers.{layer}.self_attn.rotary_emb.inv_freq": why
        for layer in range(language.config["num_hidden_layers"])
    }


def _dtype(language: Language, stored: Mapping[str, StoredTensor]) -> str:
    """The type of the weights, by torch's name."""
    found = stored.get(f"{language.body}embed_tokens.weight")
    return "float32" if found is None else str(found.dtype).removeprefix("torch.")


def _preprocessing(pre: Mapping[str, Any], size_px: int, mode: str) -> dict[str, Any]:
    """What import.json says of images."""
    facts = {
        "image_mode": mode,
        "size_px": size_px,
        "mean": pre["image_mean"],
        "std": pre["image_std"],
        "resample": "bicubic",
    }
    if mode == "pad":
        facts["pad_colour"] = [int(mean * 255) for mean in pre["image_mean"]]
    return facts


def _times(scale: float) -> Make:
    def make(tensors: list[torch.Tensor]) -> torch.Tensor:
        (tensor,) = tensors
        return (tensor.float() * scale).to(tensor.dtype)

    return make


def _identity(scale: float) -> Make:
    def make(tensors: list[torch.Tensor]) -> torch.Tensor:
        (bias,) = tensors
        return torch.diag(torch.full_like(bias, scale))

    return make


def _noughts(tensors: list[torch.Tensor]) -> torch.Tensor:
    (bias,) = tensors
    return torch.zeros_like(bias)


def _one_of_same(tensors: list[torch.Tensor]) -> torch.Tensor:
    """The first; the config says that all are one, and files hold one or more of them."""
    first, *others = tensors
    if not first.is_meta and any(not torch.equal(first, other) for other in others):
        raise ModelError(
            "Its config.json says that embedding and output layer are one "
            "(tie_word_embeddings), and their weights differ."
        )
    return first
