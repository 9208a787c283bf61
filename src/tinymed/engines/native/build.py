"""A model's build for the native engine: packed matrices, the embedding table, the tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from tinymed.engines.embedding import EMBEDDING, save_embedding
from tinymed.engines.native.language import language_layout
from tinymed.engines.native.layout import Layout, PlainTensor, num_bytes, num_weights
from tinymed.engines.native.packed import pack
from tinymed.engines.native.tensor_file import write_tensors
from tinymed.engines.native.vision import (
    CONNECTOR,
    VISION,
    ConnectorConfig,
    VisionConfig,
    connector_layout,
    encoder_layout,
)
from tinymed.engines.precisions import chosen_precisions
from tinymed.engines.rounding import BITS, Array
from tinymed.models.build import CONTEXT_TOKENS, TOKENIZER, Build, BuildPart, write_build
from tinymed.models.schemes import Scheme
from tinymed.models.vit import VitConfig
from tinymed.models.weights import ModelWeights
from tinymed.runs import environment

LANGUAGE = "language.safetensors"
VISION_FILE = "vision.safetensors"
"""Only where the encoder is a vision transformer of the CLIP family; else a graph sees."""

_JOINT = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""Matrices that read the same numbers are one: the numbers are rounded once for all."""

_Source = Callable[[str], Array]
"""Finds a published tensor by its name."""


def build_native(
    weights: ModelWeights,
    folder: Path,
    *,
    scheme: Scheme,
    precisions: Mapping[str, str] | None = None,
) -> Build:
    """Write a model's build; the folder appears whole or not at all.

    Args:
        weights: What to build from.
        folder: Where the build goes; an older one there is replaced.
        scheme: Of the engine "native".
        precisions: Of single parts, where they are to differ from the scheme's.

    Raises:
        ConfigError: If a precision is unknown.
        ModelError: If the vision encoder cannot be read.
    """
    chosen = chosen_precisions(
        scheme, weights, precisions, known=tuple(BITS), engine="the native engine"
    )
    return write_build(folder, partial(_write_files, weights, scheme, chosen))


def _write_files(
    weights: ModelWeights, scheme: Scheme, chosen: Mapping[str, str], folder: Path
) -> Build:
    if weights.vision_config is None:
        vision, packages = _write_graph(weights, chosen, folder), ["openvino"]
    else:
        vision, packages = _write_vision(weights, weights.vision_config, chosen, folder), []
    language = _write_language(weights, chosen["language_model"], folder)
    (folder / TOKENIZER).write_text(weights.tokenizer.to_str(), encoding="utf-8")
    return Build(
        model=weights.name,
        description=weights.description,
        scheme=scheme.name,
        parts=(*vision, language),
        source_digest=weights.digest,
        template=weights.template,
        preprocessing=weights.preprocessing,
        num_image_tokens=weights.num_image_tokens,
        context_tokens=CONTEXT_TOKENS,
        made_with=environment("numpy", *packages),
    )


def _write_graph(
    weights: ModelWeights, chosen: Mapping[str, str], folder: Path
) -> tuple[BuildPart, BuildPart]:
    """Leave an encoder that is no vision transformer, and its connector, to OpenVINO."""
    from tinymed.engines.openvino.vision_file import write_vision_graph

    encoder, connector = (
        cast("Literal['int8', 'int4']", chosen[part]) for part in ("vision_encoder", "connector")
    )
    return write_vision_graph(weights, folder, encoder=encoder, connector=connector)


def _write_vision(
    weights: ModelWeights, vit: VitConfig, chosen: Mapping[str, str], folder: Path
) -> tuple[BuildPart, BuildPart]:
    connector = _in_order(weights)
    hidden_size, middle_size = connector["linear_2.weight"].shape
    config = VisionConfig(
        vit=vit,
        connector=ConnectorConfig(
            kind=weights.connector_kind,
            activation=weights.connector_activation,
            fold=weights.fold,
            middle_size=middle_size,
            hidden_size=hidden_size,
        ),
        encoder_bits=BITS[chosen["vision_encoder"]],
        connector_bits=BITS[chosen["connector"]],
    )

    def source(name: str) -> Array:
        if name.startswith(VISION):
            return weights.vision[name.removeprefix(VISION)]
        return connector[name.removeprefix(CONNECTOR)]

    layouts = encoder_layout(vit, config.encoder_bits), connector_layout(config)
    layout = {**layouts[0], **layouts[1]}
    write_tensors(folder / VISION_FILE, layout, _maker(source, layout), config=config.as_row())
    encoder_part, connector_part = (
        _part(name, chosen[name], part)
        for name, part in zip(("vision_encoder", "connector"), layouts, strict=True)
    )
    return encoder_part, connector_part


def _in_order(weights: ModelWeights) -> Mapping[str, Array]:
    """The connector's tensors; of our own, the gate comes first, as `Ops.gate` wants it."""
    if weights.connector_kind == "llava":
        return weights.connector
    ordered = dict(weights.connector)
    for name in ("linear_1.weight", "linear_1.bias"):
        ordered[name] = np.concatenate(np.split(ordered[name], 2)[::-1])
    return ordered


def _write_language(weights: ModelWeights, precision: str, folder: Path) -> BuildPart:
    config = weights.language_config
    layout = language_layout(config, BITS[precision])

    def source(name: str) -> Array:
        is_tied = name == "lm_head.weight" and config.tied
        return weights.language["embed_tokens.weight" if is_tied else name]

    row = {"language": asdict(config), "bits": BITS[precision]}
    write_tensors(folder / LANGUAGE, layout, _maker(source, layout), config=row)
    save_embedding(weights.language["embed_tokens.weight"], folder / EMBEDDING, precision=precision)
    part = _part("language_model", precision, layout)
    return BuildPart(
        name=part.name,
        precision=precision,
        num_weights=part.num_weights + config.vocab_size * config.hidden_size,
        num_bytes=part.num_bytes + (folder / EMBEDDING).stat().st_size,
        kept=("lm_head",) if precision == "int4" else (),
    )


def _part(name: str, precision: str, layout: Layout) -> BuildPart:
    return BuildPart(
        name=name,
        precision=precision,
        num_weights=num_weights(layout),
        num_bytes=num_bytes(layout),
    )


def _maker(source: _Source, layout: Layout) -> Callable[[str], npt.NDArray[Any]]:
    """How each tensor of a layout's file is made from published ones."""

    def make(name: str) -> npt.NDArray[Any]:
        if isinstance(kind := layout.get(name), PlainTensor):
            return source(name).reshape(kind.shape)
        module, _, ending = name.rpartition(".")
        values = _joint(source, module, ending)
        matrix = layout[module]
        assert not isinstance(matrix, PlainTensor)
        # A convolution's weight, too, is a matrix of what a patch holds.
        return pack(values.reshape(matrix.rows, -1), matrix.bits) if ending == "weight" else values

    return make


def _joint(source: _Source, module: str, ending: str) -> Array:
    """One tensor, or those that a joint one is made of, one below the other."""
    last = module.rpartition(".")[2]
    if last not in _JOINT:
        return source(f"{module}.{ending}")
    before = module.removesuffix(last)
    return np.concatenate([source(f"{before}{part}.{ending}") for part in _JOINT[last]])
