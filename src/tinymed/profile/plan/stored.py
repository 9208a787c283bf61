"""What one tensor takes as each engine stores it: the builders' own rules, for a shape alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from tinymed.engines.native.packed import BLOCK_ROWS, GROUP, WHOLE, packed_shape
from tinymed.engines.rounding import BITS, GROUP_SIZES, is_quantized
from tinymed.models.language_gguf import BLOCK_NAMES, NARROW, LanguageConfig
from tinymed.models.shape.shape import ModelShape, TensorShape

FLOAT_BYTES = {"f32": 4, "f16": 2, "bf16": 2}
"""Of precisions that quantize nothing."""

KEPT_IN_NARROW = ("q_proj", "k_proj", "v_proj", "qkv_proj", "o_proj", "down_proj")
"""What OpenVINO's builder keeps in 16 bits where the other matrices have 8 (`KEPT_IN_NARROW`
there, but for single matrices; that module imports OpenVINO)."""

_NF4_BLOCK, _NF4_SCALES_BLOCK = 64, 256
"""`engines.torch.packed` has them, which imports torch."""
_NF4_TABLES_BYTES = 64 + 1024 + 256
"""Of a matrix in nf4: the 16 levels, the scales' 256 levels, and facts in JSON."""

_PUBLISHED = {"matrix": "Q4_1", "output": "Q8_0", "embedding": "Q8_0", "norm": "F32", "bias": "F32"}
"""Types in the one published GGUF file that models of ours are made of (`models.parts`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """What a tensor takes."""

    num_bytes: int
    """Numbers and scales."""
    scale_bytes: int = 0
    """Scales and other constants of quantization alone."""


Rule = Callable[[TensorShape, str, ModelShape], StoredTensor]
"""From a tensor, its part's precision, and the model it belongs to."""


def in_native(tensor: TensorShape, precision: str, shape: ModelShape) -> StoredTensor:
    """As `engines.native.build` packs it: blocks of 16 rows, groups of 32 columns."""
    if tensor.part != "language_model" and not sees_natively(shape):
        return in_openvino(tensor, precision, shape)
    if tensor.kind == "embedding":
        return _embedding(tensor, precision)
    if tensor.kind == "convolution":
        return _packed(tensor, WHOLE)
    if tensor.kind == "output":
        return _packed(tensor, BITS["int8"])
    if tensor.kind == "matrix":
        return _packed(tensor, BITS[precision])
    return _vector(tensor, table_bytes=2)


def in_openvino(tensor: TensorShape, precision: str, shape: ModelShape) -> StoredTensor:
    """As `engines.openvino.layers.Store` keeps it."""
    if tensor.kind == "embedding":
        return _embedding(tensor, precision)
    whole = "f32" if precision == "f32" else "f16"
    if tensor.kind in {"matrix", "output"}:
        return _in_groups(tensor, _openvino_precision(tensor, precision, shape))
    if tensor.kind == "convolution":
        return StoredTensor(num_bytes=tensor.num_weights * FLOAT_BYTES[whole])
    if tensor.kind == "norm" and shape.vision.patch_px is None and tensor.part == "vision_encoder":
        # A convolution's batch norm is folded into its weight; its bias stays.
        return StoredTensor(num_bytes=0)
    return _vector(tensor, table_bytes=FLOAT_BYTES[whole])


def in_gguf(tensor: TensorShape, precision: str, shape: ModelShape) -> StoredTensor:
    """As `engines.llamacpp` writes the language model; the rest is OpenVINO's."""
    if tensor.part != "language_model":
        graphs = {"q8_0": "int8"}
        return in_openvino(tensor, graphs.get(precision, precision), shape)
    return _in_type(tensor, gguf_type(tensor, precision, shape))


def gguf_type(tensor: TensorShape, precision: str, shape: ModelShape) -> Any:
    """The type that llama.cpp's mix gives one of the language model's tensors."""
    from gguf import GGMLQuantizationType

    from tinymed.engines.llamacpp.mixes import language_type

    if precision == "published":
        return GGMLQuantizationType[_PUBLISHED.get(tensor.kind, "F32")]
    return language_type(_gguf_name(tensor), tensor.shape[-1], precision, language_config(shape))


def in_mmproj(tensor: TensorShape, precision: str) -> StoredTensor:
    """As `engines.llamacpp.vision_file` writes encoder and connector for a stock llama.cpp."""
    from gguf import GGMLQuantizationType

    from tinymed.engines.llamacpp.mixes import BASE, fitting

    if tensor.kind == "matrix":
        return _in_type(tensor, fitting(BASE[precision], tensor.shape[-1]))
    is_halved = tensor.kind == "convolution" and precision != "f32"
    return _in_type(tensor, GGMLQuantizationType.F16 if is_halved else GGMLQuantizationType.F32)


def _in_type(tensor: TensorShape, kind: Any) -> StoredTensor:
    from gguf import GGML_QUANT_SIZES

    block, block_bytes = GGML_QUANT_SIZES[kind]
    num_bytes = tensor.num_weights // block * block_bytes
    bits = re.match(r"Q(\d)_", kind.name)
    scales = num_bytes - tensor.num_weights * int(bits[1]) // 8 if bits else 0
    return StoredTensor(num_bytes=num_bytes, scale_bytes=scales)


def in_torch(tensor: TensorShape, precision: str, shape: ModelShape) -> StoredTensor:
    """As `engines.torch` holds it, and bitsandbytes beneath it: linear layers alone are packed."""
    del shape
    count = tensor.num_weights
    is_linear = tensor.kind == "matrix" and len(tensor.shape) == 2  # noqa: PLR2004
    if precision in FLOAT_BYTES or not is_linear:
        return StoredTensor(num_bytes=count * FLOAT_BYTES.get(precision, 2))
    if precision == "int8":
        scales = 4 * tensor.shape[0]
        return StoredTensor(num_bytes=count + scales, scale_bytes=scales)
    blocks = ceil(count / _NF4_BLOCK)
    scales = blocks + 4 * ceil(blocks / _NF4_SCALES_BLOCK) + _NF4_TABLES_BYTES
    return StoredTensor(num_bytes=ceil(count / 2) + scales, scale_bytes=scales)


RULES: dict[str, Rule] = {
    "native": in_native,
    "openvino": in_openvino,
    "llamacpp": in_gguf,
    "torch": in_torch,
}
"""By the engine's name."""


def sees_natively(shape: ModelShape) -> bool:
    """Whether the native engine runs the vision encoder itself; else OpenVINO does."""
    return shape.vision.encoder in {"clip", "siglip"}


def is_narrow(shape: ModelShape) -> bool:
    """Whether the language model has so few numbers a token that it bears fewer bits badly."""
    return shape.text.width < NARROW


def language_config(shape: ModelShape) -> LanguageConfig:
    """The language model's shape as builders have it; angles and norms change no size."""
    text = shape.text
    return LanguageConfig(
        num_layers=text.layers,
        hidden_size=text.width,
        intermediate_size=text.middle,
        num_heads=text.heads,
        num_kv_heads=text.key_heads,
        head_dim=text.head_width,
        rope_theta=1.0,
        rms_norm_eps=1.0,
        vocab_size=text.vocabulary,
        tied=text.is_tied,
    )


def _packed(tensor: TensorShape, bits: int) -> StoredTensor:
    rows, columns = tensor.shape[0], prod(tensor.shape[1:])
    blocks, stride = packed_shape(bits, rows, columns)
    groups = blocks * ceil(columns / GROUP)
    scales = 0 if bits == WHOLE else groups * BLOCK_ROWS * 2
    return StoredTensor(num_bytes=blocks * stride, scale_bytes=scales)


def _in_groups(tensor: TensorShape, precision: str) -> StoredTensor:
    if not is_quantized(precision):
        return StoredTensor(num_bytes=tensor.num_weights * FLOAT_BYTES[precision])
    scales = 2 * num_groups(tensor.num_weights, tensor.shape[-1], precision)
    numbers = tensor.num_weights * BITS[precision] // 8
    return StoredTensor(num_bytes=numbers + scales, scale_bytes=scales)


def num_groups(num_weights: int, width: int, precision: str) -> int:
    """Scales of a matrix whose rows are `width` wide.

    >>> num_groups(576 * 10, 576, "int8"), num_groups(100 * 10, 100, "int4")
    (180, 10)
    """
    group = GROUP_SIZES[precision]
    return num_weights // (group if width % group == 0 else width)


def _openvino_precision(tensor: TensorShape, precision: str, shape: ModelShape) -> str:
    """As `_kept` in `engines.openvino.build` has it."""
    if tensor.part != "language_model":
        return precision
    if precision == "int4" and tensor.kind == "output":
        return "int8"
    is_kept = tensor.name.split(".")[-2] in KEPT_IN_NARROW
    return "f16" if precision == "int8" and is_kept and is_narrow(shape) else precision


def _embedding(tensor: TensorShape, precision: str) -> StoredTensor:
    """The table as `engines.embedding` writes it: 8 bits wherever anything is quantized."""
    if not is_quantized(precision):
        return StoredTensor(num_bytes=tensor.num_weights * FLOAT_BYTES[precision])
    return _in_groups(tensor, "int8")


def _vector(tensor: TensorShape, *, table_bytes: int) -> StoredTensor:
    """A norm, a bias or a class token in 32 bits; a table of positions in `table_bytes`."""
    is_table = tensor.kind == "position" and tensor.num_weights > tensor.shape[-1]
    return StoredTensor(num_bytes=tensor.num_weights * (table_bytes if is_table else 4))


def _gguf_name(tensor: TensorShape) -> str:
    """The tensor's name in GGUF, from transformers'."""
    if tensor.kind in {"embedding", "output"}:
        return "token_embd.weight" if tensor.kind == "embedding" else "output.weight"
    found = re.search(r"layers\.(\d+)\.(.+)\.(weight|bias)$", tensor.name)
    if found is None:
        return "output_norm.weight"
    ours = {theirs: name for name, theirs in BLOCK_NAMES.items()}
    return f"blk.{found[1]}.{ours[found[2]]}.{found[3]}"
