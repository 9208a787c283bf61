"""A model's build for OpenVINO: two graphs, the embedding table and the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import openvino as ov

from tinymed.engines.openvino.embedding import save_embedding
from tinymed.engines.openvino.language import language_graph
from tinymed.engines.openvino.layers import Precision, Store
from tinymed.engines.openvino.vision import vision_graph
from tinymed.errors import ConfigError
from tinymed.models.build import TOKENIZER, Build, BuildPart, write_build
from tinymed.models.language_gguf import NARROW
from tinymed.models.schemes import PARTS, Scheme
from tinymed.models.weights import ModelWeights
from tinymed.runs import environment

CONTEXT_TOKENS = 2048
"""Longest sequence a build can read: the length SmolLM2-135M was trained on."""
EMBEDDING = "embedding.npy"

KEPT_IN_NARROW = ("qkv_proj", "o_proj", "down_proj")
"""Their matrices that stay in 16 bits where the others have 8: half of the layers' weights."""


def build_openvino(
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
        scheme: Of the engine "openvino".
        precisions: Of single parts, where they are to differ from the scheme's.

    Raises:
        ConfigError: If a precision is unknown.
        ModelError: If the vision encoder cannot be read.
    """
    chosen = _precisions(scheme, weights) | dict(precisions or {})
    for part, precision in chosen.items():
        if precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise ConfigError(
                f"No precision '{precision}' for the {part.replace('_', ' ')} in OpenVINO. "
                f"Known: {known}."
            )
    stores = {part: Store(cast("Precision", precision)) for part, precision in chosen.items()}
    language = stores["language_model"].precision
    stores["language_model"] = Store(language, keep=_kept(language, weights))
    return write_build(folder, partial(_write_files, weights, scheme, stores))


def _precisions(scheme: Scheme, weights: ModelWeights) -> dict[str, str]:
    """A scheme's precisions, but 8 bits for a language model that is too narrow for 4."""
    chosen = {part: scheme.precision(part) for part in PARTS}
    if chosen["language_model"] == "int4" and _is_narrow(weights):
        chosen["language_model"] = "int8"
    return chosen


def _kept(precision: Precision, weights: ModelWeights) -> dict[str, Precision]:
    """The language model's matrices that have more bits than the others, by last word."""
    if precision == "int4":
        return {"lm_head": "int8"}
    if precision == "int8" and _is_narrow(weights):
        return dict.fromkeys(KEPT_IN_NARROW, "f16")
    return {}


def _is_narrow(weights: ModelWeights) -> bool:
    return weights.language_config.hidden_size < NARROW


def _write_files(
    weights: ModelWeights, scheme: Scheme, stores: dict[str, Store], folder: Path
) -> Build:
    vision = vision_graph(
        weights,
        encoder_store=stores["vision_encoder"],
        connector_store=stores["connector"],
    )
    _save(vision, folder / "vision.xml")
    del vision
    language = language_graph(
        weights.language,
        weights.language_config,
        store=stores["language_model"],
        context_tokens=CONTEXT_TOKENS,
    )
    _save(language, folder / "language.xml")
    del language
    table = weights.language["embed_tokens.weight"]
    save_embedding(table, folder / EMBEDDING, precision=stores["language_model"].precision)
    (folder / TOKENIZER).write_text(weights.tokenizer.to_str(), encoding="utf-8")
    return Build(
        model=weights.name,
        description=weights.description,
        scheme=scheme.name,
        parts=tuple(_part(name, stores[name], folder, table.size) for name in PARTS),
        source_digest=weights.digest,
        template=weights.template,
        preprocessing=weights.preprocessing,
        num_image_tokens=weights.num_image_tokens,
        context_tokens=CONTEXT_TOKENS,
        made_with=environment("openvino"),
    )


def _part(name: str, store: Store, folder: Path, embedding_size: int) -> BuildPart:
    """What a part takes: its matrices and vectors; of the language model also the table."""
    num_weights, num_bytes = store.num_weights, store.num_bytes
    if name == "language_model":
        num_weights += embedding_size
        num_bytes += (folder / EMBEDDING).stat().st_size
    return BuildPart(
        name=name,
        precision=store.precision,
        num_weights=num_weights,
        num_bytes=num_bytes,
        kept=tuple(store.kept),
    )


def _save(model: Any, path: Path) -> None:
    # OpenVINO's own names count up over a process's life: the same model's files would differ.
    for index, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{index}")
    ov.save_model(model, path, compress_to_fp16=False)
