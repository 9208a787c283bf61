"""A model's build for OpenVINO: two graphs, the embedding table and the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast, get_args

from tinymed.engines.embedding import EMBEDDING, save_embedding
from tinymed.engines.openvino.language import language_graph
from tinymed.engines.openvino.layers import Precision, Store
from tinymed.engines.openvino.vision_file import save_graph, write_vision_graph
from tinymed.engines.precisions import chosen_precisions, is_narrow
from tinymed.models.build import CONTEXT_TOKENS, TOKENIZER, Build, BuildPart, write_build
from tinymed.models.schemes import Scheme
from tinymed.models.weights import ModelWeights
from tinymed.runs import environment

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
    chosen = chosen_precisions(
        scheme, weights, precisions, known=get_args(Precision), engine="OpenVINO"
    )
    return write_build(
        folder,
        partial(_write_files, weights, scheme, cast("dict[str, Precision]", chosen)),
    )


def _kept(precision: Precision, weights: ModelWeights) -> dict[str, Precision]:
    """The language model's matrices that have more bits than the others, by last word."""
    if precision == "int4":
        return {"lm_head": "int8"}
    if precision == "int8" and is_narrow(weights):
        return dict.fromkeys(KEPT_IN_NARROW, "f16")
    return {}


def _write_files(
    weights: ModelWeights, scheme: Scheme, chosen: dict[str, Precision], folder: Path
) -> Build:
    vision = write_vision_graph(
        weights, folder, encoder=chosen["vision_encoder"], connector=chosen["connector"]
    )
    precision = chosen["language_model"]
    store = Store(precision, keep=_kept(precision, weights))
    language = language_graph(
        weights.language, weights.language_config, store=store, context_tokens=CONTEXT_TOKENS
    )
    save_graph(language, folder / "language.xml")
    del language
    table = weights.language["embed_tokens.weight"]
    save_embedding(table, folder / EMBEDDING, precision=precision)
    (folder / TOKENIZER).write_text(weights.tokenizer.to_str(), encoding="utf-8")
    return Build(
        model=weights.name,
        description=weights.description,
        scheme=scheme.name,
        parts=(*vision, _language_part(store, folder, table.size)),
        source_digest=weights.digest,
        template=weights.template,
        preprocessing=weights.preprocessing,
        num_image_tokens=weights.num_image_tokens,
        context_tokens=CONTEXT_TOKENS,
        made_with=environment("openvino"),
    )


def _language_part(store: Store, folder: Path, embedding_size: int) -> BuildPart:
    """What the language model takes: its matrices, vectors and embedding table."""
    return BuildPart(
        name="language_model",
        precision=store.precision,
        num_weights=store.num_weights + embedding_size,
        num_bytes=store.num_bytes + (folder / EMBEDDING).stat().st_size,
        kept=tuple(store.kept),
    )
