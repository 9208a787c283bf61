"""A trained LoRA adapter as a GGUF file that llama.cpp puts on top of the base model's."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tinymed.engines.llamacpp.gguf_file import Tensor, Type, write_gguf
from tinymed.engines.llamacpp.language_file import interleaved, rotated_heads, tensor_shape
from tinymed.errors import ModelError
from tinymed.models.language_gguf import BLOCK_NAMES, Array, LanguageConfig
from tinymed.models.trained import Trained


def write_adapter(trained: Trained, config: LanguageConfig, path: Path, *, name: str) -> None:
    """Write an adapter, in 16 bits where they hold its values to the last bit, else in 32.

    Args:
        trained: Holds it; the connector stays out.
        config: Of the language model it was trained on: its file must be the unmerged one.
        path: Where the file goes.
        name: What it is called.

    Raises:
        ModelError: If the adapter names a layer that the language model does not have.
    """
    tensors = []
    for module, (a, b) in sorted(trained.adapter.items()):
        target = _gguf_name(module, config)
        shape = tensor_shape(target, config) if target else ()
        if target is None or shape != (b.shape[0], a.shape[1]):
            raise ModelError(f"The adapter's '{module}' does not fit the language model.")
        heads = rotated_heads(target, config)
        rows = b if heads is None else interleaved(b, heads)
        tensors += [_tensor(f"{target}.lora_a", a), _tensor(f"{target}.lora_b", rows)]

    def add_fields(writer: GGUFWriter) -> None:
        writer.add_type("adapter")
        writer.add_name(name)
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", trained.alpha)

    write_gguf(path, "qwen2" if config.attention_bias else "llama", add_fields, tensors)


def _gguf_name(module: str, config: LanguageConfig) -> str | None:
    """The weight that a module like "layers.3.self_attn.q_proj" is in GGUF."""
    ours = {theirs: name for name, theirs in BLOCK_NAMES.items() if not name.endswith("_norm")}
    parts = re.fullmatch(r"layers\.(\d+)\.(.+)", module)
    if parts is None or int(parts[1]) >= config.num_layers or parts[2] not in ours:
        return None
    return f"blk.{parts[1]}.{ours[parts[2]]}.weight"


def _tensor(name: str, values: Array) -> Tensor:
    is_halved = np.array_equal(values, values.astype(np.float16))
    stored_as = Type.F16 if is_halved else Type.F32
    return Tensor(name=name, shape=values.shape, stored_as=stored_as, read=partial(_itself, values))


def _itself(values: Array) -> Array:
    return values
