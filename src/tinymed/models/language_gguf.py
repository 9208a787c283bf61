"""A Llama language model out of a GGUF file, as numpy arrays under transformers' names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tinymed.errors import ModelError
from tinymed.models.headers.gguf_header import check_gguf

if TYPE_CHECKING:
    from gguf import GGUFReader

Array = npt.NDArray[np.float32]

BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

NARROW = 2048
"""Language models of fewer numbers a token bear fewer bits badly: 4 bits in the feed-forward of 10
of `nano`'s 30 layers already change 7 % of its closed answers (decision 0006), and Q8_0 throughout,
beside which llama.cpp rounds what it multiplies to 8 bits, 1.9 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageConfig:
    """Shape of a Llama language model."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rope_theta: float
    rms_norm_eps: float
    vocab_size: int
    tied: bool = True
    """The output layer is the embedding table; else it is the tensor "lm_head.weight"."""
    attention_bias: bool = False
    """Query, key and value have a bias, as in Qwen2."""


def open_gguf(path: Path) -> GGUFReader:
    """Open a GGUF file for reading.

    Raises:
        ModelError: If it is missing or not GGUF.
    """
    from gguf import GGUFReader  # 0.1 s: only where a model is read

    check_gguf(path)
    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(f"'{path}' is not a readable GGUF file: {error}.") from error


def language_config(reader: GGUFReader) -> LanguageConfig:
    """Read the model's shape from the file's fields."""

    def value(name: str) -> float:
        field = reader.get_field(f"llama.{name}")
        if field is None:
            raise ModelError(f"The language model's file has no 'llama.{name}'.")
        return float(field.contents())

    num_heads = int(value("attention.head_count"))
    hidden_size = int(value("embedding_length"))
    return LanguageConfig(
        num_layers=int(value("block_count")),
        hidden_size=hidden_size,
        intermediate_size=int(value("feed_forward_length")),
        num_heads=num_heads,
        num_kv_heads=int(value("attention.head_count_kv")),
        head_dim=hidden_size // num_heads,
        rope_theta=value("rope.freq_base"),
        # Stored as float32: 9.99999974e-06 means 1e-05.
        rms_norm_eps=float(f"{value('attention.layer_norm_rms_epsilon'):.6g}"),
        vocab_size=int(value("vocab_size")),
    )


def language_tensors(reader: GGUFReader, config: LanguageConfig) -> dict[str, Array]:
    """Dequantize every tensor of the file to float32.

    Every tensor of the file is placed and every tensor of the model is found, or the
    load fails with the names.

    Raises:
        ModelError: If a tensor cannot be placed, or one is missing.
    """
    from gguf.quants import dequantize

    tensors: dict[str, Array] = {}
    unknown = []
    for tensor in reader.tensors:
        name = _transformers_name(tensor.name)
        if name is None:
            unknown.append(tensor.name)
            continue
        values = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        if name.endswith("q_proj.weight"):
            values = _unpermute(values, config.num_heads)
        elif name.endswith("k_proj.weight"):
            values = _unpermute(values, config.num_kv_heads)
        tensors[name] = values
    missing = sorted(set(_expected_names(config)) - set(tensors))
    if unknown or missing:
        raise ModelError(
            f"The language model's file does not fit: {len(unknown)} tensors have no place "
            f"(first: {unknown[:3]}) and {len(missing)} are missing (first: {missing[:3]})."
        )
    return tensors


def _transformers_name(name: str) -> str | None:
    if name == "token_embd.weight":
        return "embed_tokens.weight"
    if name == "output_norm.weight":
        return "norm.weight"
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in BLOCK_NAMES:  # noqa: PLR2004
        return f"layers.{parts[1]}.{BLOCK_NAMES[parts[2]]}.{parts[3]}"
    return None


def _expected_names(config: LanguageConfig) -> list[str]:
    names = ["embed_tokens.weight", "norm.weight"]
    for layer in range(config.num_layers):
        names += [f"layers.{layer}.{name}.weight" for name in BLOCK_NAMES.values()]
    return names


def _unpermute(weight: Array, num_heads: int) -> Array:
    # GGUF interleaves each head's rotary halves; transformers keeps them apart.
    rows, columns = weight.shape
    split = weight.reshape(num_heads, rows // num_heads // 2, 2, columns)
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(rows, columns))
