"""Which type each matrix gets: llama.cpp's mixes, and what it does where a row does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

from tinymed.models.language_gguf import NARROW, LanguageConfig

Type = GGMLQuantizationType
Precision = Literal["f32", "f16", "q8_0", "q4_k_m"]

BASE: dict[str, Type] = {
    "f32": Type.F32,
    "f16": Type.F16,
    "q8_0": Type.Q8_0,
    "q4_k_m": Type.Q4_K,
}
"""The type of most matrices of a precision."""
FILE_TYPES: dict[str, LlamaFileType] = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q4_k_m": LlamaFileType.MOSTLY_Q4_K_M,
}
FULL_WIDTH = (Type.F32, Type.F16)
_NARROWER: dict[Type, Type] = {Type.Q4_K: Type.Q5_0, Type.Q6_K: Type.Q8_0}
"""What llama.cpp takes where 256, a K-quant's block, does not divide a row's width."""


def fitting(kind: Type, width: int) -> Type:
    """The type that a row of this width can have, in llama.cpp's order of retreat.

    >>> [fitting(Type.Q4_K, width).name for width in (512, 576, 24)]
    ['Q4_K', 'Q5_0', 'F16']
    """
    if width % GGML_QUANT_SIZES[kind][0] == 0:
        return kind
    narrower = _NARROWER.get(kind, kind)
    return narrower if width % GGML_QUANT_SIZES[narrower][0] == 0 else Type.F16


def language_type(name: str, width: int, precision: str, config: LanguageConfig) -> Type:
    """The type of one of the language model's tensors.

    Args:
        name: In GGUF's words, such as "blk.3.attn_q.weight".
        width: Of its rows.
        precision: One of BASE.
        config: Shape of the model.

    Source:
        llama.cpp b11549, `llama_tensor_get_type_impl` in src/llama-quant.cpp, for a dense Llama
        and Q4_K_M. Departs from it in one thing: llama.cpp gives value matrices of models with
        80 layers five bits, and none of those runs on a clinic's computer. Q8_0 departs in another:
        see NARROW.
    """
    if name.endswith((".bias", "_norm.weight")):
        return Type.F32
    kind = BASE[precision]
    if precision == "q8_0" and config.hidden_size < NARROW and _is_delicate(name, config):
        return Type.F16
    if precision == "q4_k_m" and _has_six_bits(name, config):
        kind = Type.Q6_K
    return fitting(kind, width)


def _is_delicate(name: str, config: LanguageConfig) -> bool:
    """Whether a matrix is one of those that decision 0006 keeps in 16 bits in small models.

    The output layer is among them here alone: llama.cpp rounds what it multiplies with 8 bits.
    """
    return _is_output(name, config) or any(
        part in name for part in ("attn_q.", "attn_k.", "attn_v.", "attn_output.", "ffn_down.")
    )


def _has_six_bits(name: str, config: LanguageConfig) -> bool:
    if _is_output(name, config):
        return True
    if "attn_v" not in name and "ffn_down" not in name:
        return False
    layer, eighth = int(name.split(".")[1]), config.num_layers // 8
    return (
        layer < eighth or layer >= 7 * config.num_layers // 8 or (layer - eighth) % 3 == 2  # noqa: PLR2004
    )


def _is_output(name: str, config: LanguageConfig) -> bool:
    return name == ("token_embd.weight" if config.tied else "output.weight")


def in_words(kinds: Iterable[Type]) -> str:
    """How many matrices have which type, most first.

    >>> in_words([Type.Q5_0, Type.Q8_0, Type.Q5_0])
    '2 in Q5_0, 1 in Q8_0'
    """
    found = list(kinds)
    counts = sorted({kind: found.count(kind) for kind in found}.items(), key=lambda row: -row[1])
    return ", ".join(f"{count} in {kind.name}" for kind, count in counts)
