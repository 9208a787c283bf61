"""A tiny real model for tests: random weights, saved and loaded like a big one."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer, pre_tokenizers

from tinymed.models.language_gguf import BLOCK_NAMES, Array, LanguageConfig, open_gguf
from tinymed.models.tokenizer import tokenizer_from_gguf

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"]

TINY = LanguageConfig(
    num_layers=2,
    hidden_size=32,
    intermediate_size=48,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    rope_theta=10000.0,
    rms_norm_eps=1e-5,
    vocab_size=264,
)


def tiny_tensors(seed: int = 0, config: LanguageConfig = TINY) -> dict[str, Array]:
    """Random weights under transformers' names."""
    rng = np.random.default_rng(seed)
    h, f, kv = config.hidden_size, config.intermediate_size, config.num_kv_heads * config.head_dim
    shapes = {
        "self_attn.q_proj": (h, h),
        "self_attn.k_proj": (kv, h),
        "self_attn.v_proj": (kv, h),
        "self_attn.o_proj": (h, h),
        "mlp.gate_proj": (f, h),
        "mlp.up_proj": (f, h),
        "mlp.down_proj": (h, f),
        "input_layernorm": (h,),
        "post_attention_layernorm": (h,),
    }
    tensors = {
        f"layers.{layer}.{name}.weight": rng.normal(0.0 if len(shape) > 1 else 1.0, 0.1, shape)
        for layer in range(config.num_layers)
        for name, shape in shapes.items()
    }
    tensors["embed_tokens.weight"] = rng.normal(0, 0.5, (config.vocab_size, h))
    tensors["norm.weight"] = rng.normal(1, 0.1, (h,))
    return {name: values.astype(np.float32) for name, values in tensors.items()}


def write_tiny_gguf(path: Path, tensors: dict[str, Array], config: LanguageConfig = TINY) -> Path:
    """Write a language model the way llama.cpp's converter does, rotary rows permuted."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(config.num_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*CONTROL, *letters, "Ġt", "he", "Ġthe", "es"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(CONTROL) + [1] * (len(tokens) - len(CONTROL)))
    writer.add_token_merges(["Ġ t", "h e", "Ġt he", "e s"])
    inverse = {value: name for name, value in BLOCK_NAMES.items()}
    for name, values in tensors.items():
        writer.add_tensor(*_stored(name, values, inverse, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _stored(
    name: str, values: Array, inverse: dict[str, str], config: LanguageConfig
) -> tuple[str, Array]:
    if name == "embed_tokens.weight":
        return "token_embd.weight", values
    if name == "norm.weight":
        return "output_norm.weight", values
    _, layer, *module = name.removesuffix(".weight").split(".")
    kind = inverse[".".join(module)]
    heads = {"attn_q": config.num_heads, "attn_k": config.num_kv_heads}.get(kind)
    if heads:
        rows, columns = values.shape
        halves = values.reshape(heads, 2, rows // heads // 2, columns)
        values = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
    return f"blk.{layer}.{kind}.weight", values


def tiny_tokenizer(folder: Path) -> Tokenizer:
    """The tiny model's tokenizer, read back from its file."""
    return tokenizer_from_gguf(open_gguf(write_tiny_gguf(folder / "tiny.gguf", tiny_tensors())))
