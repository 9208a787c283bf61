"""A model's build for llama.cpp: GGUF files, and a graph that our own engine sees with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tinymed.engines.llamacpp.adapter_file import write_adapter
from tinymed.engines.llamacpp.gguf_file import Tensor
from tinymed.engines.llamacpp.language_file import write_language
from tinymed.engines.llamacpp.mixes import BASE, FULL_WIDTH, in_words
from tinymed.engines.llamacpp.vision_file import why_not_stock, write_vision
from tinymed.engines.openvino.layers import Precision
from tinymed.engines.openvino.vision_file import write_vision_graph
from tinymed.errors import ConfigError, ModelError
from tinymed.models.build import CONTEXT_TOKENS, TOKENIZER, Build, BuildPart, write_build
from tinymed.models.language_gguf import open_gguf
from tinymed.models.schemes import PARTS, Scheme
from tinymed.models.weights import ModelWeights
from tinymed.runs import environment

LANGUAGE = "language.gguf"
ADAPTER = "adapter.gguf"
"""Beside it only where the language model is as it was published."""
PUBLISHED = "published"
"""The precision of a language model that is kept so."""
MMPROJ = "mmproj.gguf"
"""Vision encoder and connector, for a stock llama.cpp. Our own engine has them as a graph: any
encoder, and the preprocessing it was trained with."""
_GRAPH: dict[str, Precision] = {"f32": "f32", "f16": "f16", "q8_0": "int8"}
"""What a precision is called in the graph: its 8 bits have a scale for 128 weights, not for 32."""


def build_gguf(
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
        scheme: Of the engine "llamacpp".
        precisions: Of single parts, where they are to differ from the scheme's.

    Raises:
        ConfigError: If a precision is unknown.
        ModelError: If the vision encoder cannot be read, or the tokenizer has no form in GGUF.
        MissingExtraError: If the extra "gguf" is not installed.
    """
    chosen = {part: scheme.precision(part) for part in PARTS} | dict(precisions or {})
    for part, precision in chosen.items():
        known = [*BASE, PUBLISHED] if part == "language_model" else list(_GRAPH)
        if precision not in known:
            raise ConfigError(
                f"No precision '{precision}' for the {part.replace('_', ' ')} in llama.cpp. "
                f"Known: {', '.join(known)}."
            )
    return write_build(folder, partial(_write_files, weights, scheme, chosen))


def _write_files(
    weights: ModelWeights, scheme: Scheme, chosen: dict[str, str], folder: Path
) -> Build:
    language, matrices = _write_language(weights, chosen["language_model"], folder)
    vision = write_vision_graph(
        weights,
        folder,
        encoder=_GRAPH[chosen["vision_encoder"]],
        connector=_GRAPH[chosen["connector"]],
    )
    reason = why_not_stock(weights)
    if reason is None:
        write_vision(
            weights,
            folder / MMPROJ,
            encoder_precision=chosen["vision_encoder"],
            connector_precision=chosen["connector"],
        )
    (folder / TOKENIZER).write_text(weights.tokenizer.to_str(), encoding="utf-8")
    facts = [weights.description.rstrip("."), f"Matrices of the language model: {matrices}"]
    return Build(
        model=weights.name,
        description=". ".join(facts) + "." + (f" {reason}" if reason else ""),
        scheme=scheme.name,
        # The mmproj, where there is one, holds the first two once more.
        parts=(*vision, language),
        source_digest=weights.digest,
        template=weights.template,
        preprocessing=weights.preprocessing,
        num_image_tokens=weights.num_image_tokens,
        context_tokens=CONTEXT_TOKENS,
        made_with=environment("openvino", "gguf", "xllamacpp"),
    )


def _write_language(weights: ModelWeights, precision: str, folder: Path) -> tuple[BuildPart, str]:
    """Write the language model; what it takes, and which types its matrices have, in words."""
    if precision == PUBLISHED:
        return _write_published(weights, folder)
    tensors = write_language(
        weights, folder / LANGUAGE, precision=precision, context=CONTEXT_TOKENS
    )
    matrices = in_words(tensor.stored_as for tensor in tensors if len(tensor.shape) > 1)
    return _language_part(tensors, precision), matrices


def _write_published(weights: ModelWeights, folder: Path) -> tuple[BuildPart, str]:
    """Copy the language model's own file, and write the adapter beside it.

    Raises:
        ModelError: If the model was not made from such a file and an adapter.
    """
    if weights.language_file is None or weights.trained is None:
        raise ModelError(
            f"'{weights.name}' has no published GGUF file and adapter of its own. Choose another "
            "scheme, such as gguf-q4_k_m."
        )
    shutil.copyfile(weights.language_file, folder / LANGUAGE)
    write_adapter(weights.trained, weights.language_config, folder / ADAPTER, name=weights.name)
    tensors = open_gguf(folder / LANGUAGE).tensors
    num_weights = sum(int(tensor.n_elements) for tensor in tensors)
    num_weights += sum(a.size + b.size for a, b in weights.trained.adapter.values())
    matrices = in_words(tensor.tensor_type for tensor in tensors if len(tensor.shape) > 1)
    return BuildPart(
        name="language_model",
        precision=PUBLISHED,
        num_weights=num_weights,
        num_bytes=sum((folder / name).stat().st_size for name in (LANGUAGE, ADAPTER)),
        kept=("adapter",),
    ), f"{matrices}; of the adapter beside it F16"


def _language_part(tensors: list[Tensor], precision: str) -> BuildPart:
    is_quantized = BASE[precision] not in FULL_WIDTH
    kept = [
        tensor.name
        for tensor in tensors
        if is_quantized and len(tensor.shape) > 1 and tensor.stored_as in FULL_WIDTH
    ]
    return BuildPart(
        name="language_model",
        precision=precision,
        num_weights=sum(tensor.num_weights for tensor in tensors),
        num_bytes=sum(tensor.num_bytes for tensor in tensors),
        kept=tuple(kept),
    )
