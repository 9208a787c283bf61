"""A language model as a GGUF file that every llama.cpp runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tinymed.engines.llamacpp.chat_turns import chat_turns
from tinymed.engines.llamacpp.gguf_file import Tensor, write_gguf
from tinymed.engines.llamacpp.mixes import FILE_TYPES, language_type
from tinymed.engines.llamacpp.vocabulary import read_vocabulary
from tinymed.models.language_gguf import BLOCK_NAMES, Array, LanguageConfig
from tinymed.models.weights import ModelWeights


def write_language(
    weights: ModelWeights, path: Path, *, precision: str, context: int
) -> list[Tensor]:
    """Write the language model, its vocabulary and its chat template.

    Args:
        weights: Of the whole model.
        path: Where the file goes.
        precision: Of its matrices: a key of `mixes.BASE`.
        context: Longest sequence, in tokens.

    Returns:
        What was written.

    Raises:
        ModelError: If llama.cpp cannot be told how the tokenizer works.
    """
    config = weights.language_config
    vocabulary = read_vocabulary(weights.tokenizer, weights.template, config.vocab_size)
    begin = vocabulary.tokens[vocabulary.begin_id] if vocabulary.adds_begin else ""
    # Only Qwen2's graph adds a bias to query, key and value; it rotates halves, as transformers.
    architecture = "qwen2" if config.attention_bias else "llama"

    def add_fields(writer: GGUFWriter) -> None:
        writer.add_type("model")
        writer.add_name(weights.name)
        writer.add_description(weights.description)
        writer.add_quantized_by("tinymed")
        writer.add_file_type(FILE_TYPES[precision])
        writer.add_quantization_version(2)
        _add_shape(writer, config, context)
        vocabulary.add_fields(writer)
        writer.add_chat_template(
            chat_turns(weights.template, begin=begin, leads_with_space=vocabulary.leads_with_space)
        )

    tensors = language_tensors(weights.language, config, precision)
    write_gguf(path, architecture, add_fields, tensors)
    return tensors


def _add_shape(writer: GGUFWriter, config: LanguageConfig, context: int) -> None:
    writer.add_context_length(context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def language_tensors(
    language: Mapping[str, Array], config: LanguageConfig, precision: str
) -> list[Tensor]:
    """Every tensor of the language model, under GGUF's name and not read yet."""
    places = [("token_embd.weight", "embed_tokens.weight"), ("output_norm.weight", "norm.weight")]
    if not config.tied:
        places.append(("output.weight", "lm_head.weight"))
    for layer in range(config.num_layers):
        for name, ours in BLOCK_NAMES.items():
            kinds = ("weight", "bias") if has_bias(name, config) else ("weight",)
            places += [(f"blk.{layer}.{name}.{k}", f"layers.{layer}.{ours}.{k}") for k in kinds]
    tensors = []
    for name, ours in places:
        shape = tensor_shape(name, config)
        tensors.append(
            Tensor(
                name=name,
                shape=shape,
                stored_as=language_type(name, shape[-1], precision, config),
                read=_reader(language, ours, num_heads=rotated_heads(name, config)),
            )
        )
    return tensors


def has_bias(name: str, config: LanguageConfig) -> bool:
    """Whether a block's layer has a bias."""
    return config.attention_bias and name in ("attn_q", "attn_k", "attn_v")


def tensor_shape(name: str, config: LanguageConfig) -> tuple[int, ...]:
    """The shape of a tensor by its name in GGUF: (output, input), or (output,)."""
    hidden, wide = config.hidden_size, config.intermediate_size
    queries, keys = (heads * config.head_dim for heads in (config.num_heads, config.num_kv_heads))
    kind = name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]
    shapes = {
        "token_embd": (config.vocab_size, hidden),
        "output": (config.vocab_size, hidden),
        "attn_q": (queries, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, queries),
        "ffn_gate": (wide, hidden),
        "ffn_up": (wide, hidden),
        "ffn_down": (hidden, wide),
    }
    shape = (hidden,) if kind.endswith("_norm") else shapes[kind]
    return shape[:1] if name.endswith(".bias") else shape


def rotated_heads(name: str, config: LanguageConfig) -> int | None:
    """How many heads' rows change places: of a Llama's query and key, else None."""
    if config.attention_bias:
        return None
    kind = name.split(".")[2] if name.startswith("blk.") else ""
    return {"attn_q": config.num_heads, "attn_k": config.num_kv_heads}.get(kind)


def interleaved(rows: Array, num_heads: int) -> Array:
    """Put each head's rotary halves row by row side by side, as GGUF's Llama has them.

    >>> interleaved(np.arange(4, dtype=np.float32)[:, None], 1).ravel().tolist()
    [0.0, 2.0, 1.0, 3.0]
    """
    split = rows.reshape(num_heads, 2, len(rows) // num_heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(rows.shape))


def _reader(
    language: Mapping[str, Array], name: str, *, num_heads: int | None
) -> Callable[[], Array]:
    return partial(_read, language, name, num_heads)


def _read(language: Mapping[str, Array], name: str, num_heads: int | None) -> Array:
    values = language[name]
    return values if num_heads is None else interleaved(values, num_heads)
