"""The ways a model can be stored and run, by exact name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from tinymed.errors import ConfigError

EngineName = Literal["openvino", "native", "llamacpp", "torch"]

PARTS = ("vision_encoder", "connector", "language_model")
"""What a scheme sets a precision for, each on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A precision for each part of a model, and the engine that runs it."""

    name: str
    engine: EngineName
    vision_encoder: str
    """Precision of the vision encoder's matrices: one of the engine's precisions."""
    connector: str
    language_model: str
    bits: int
    """Of the coarsest part: what its parity is judged by. 16 and 32 are full precision."""
    description: str
    """What is quantized and what is not."""

    def precision(self, part: str) -> str:
        """The precision of one of PARTS."""
        found: str = getattr(self, part)
        return found


def _scheme(name: str, engine: EngineName, parts: str, bits: int, description: str) -> Scheme:
    vision_encoder, connector, language_model = parts.split()
    return Scheme(
        name=name,
        engine=engine,
        vision_encoder=vision_encoder,
        connector=connector,
        language_model=language_model,
        bits=bits,
        description=description,
    )


_ALL = (
    _scheme(
        "openvino-f32", "openvino", "f32 f32 f32", 32,
        "Nothing is quantized: what the other schemes are compared with where there is no torch.",
    ),
    _scheme(
        "openvino-int8", "openvino", "int8 int8 int8", 8,
        "Matrices of all three parts and the embedding table in 8 bits, a 16-bit scale for 32 "
        "weights; convolutions in 16 bits, norms and biases in 32. Language models under 2,048 "
        "numbers a token keep qkv_proj, o_proj and down_proj in 16 bits.",
    ),
    _scheme(
        "openvino-int4", "openvino", "int8 int8 int4", 4,
        "Matrices of the language model in 4 bits, a 16-bit scale for 64 weights; its output "
        "layer and embedding table, vision encoder and connector in 8; convolutions in 16 bits, "
        "norms and biases in 32. Language models under 2,048 numbers a token do not bear 4 bits "
        "and are built as openvino-int8 has them.",
    ),
    _scheme(
        "native-int8", "native", "int8 int8 int8", 8,
        "Matrices of all three parts and the embedding table in 8 bits, a 16-bit scale for 32 "
        "weights; patches and positions in 16 bits, norms and biases in 32. What is multiplied "
        "with them is rounded to 8 bits. Vision encoders other than CLIP and SigLIP run in "
        "OpenVINO, with their convolutions in 16 bits.",
    ),
    _scheme(
        "native-int4", "native", "int4 int4 int4", 4,
        "As native-int8, but with matrices of all three parts in 4 bits, a 16-bit scale for 32 "
        "weights; the output layer and the embedding table stay in 8. Language models under "
        "2,048 numbers a token do not bear 4 bits and are built as native-int8 has them.",
    ),
    _scheme(
        "gguf-f16", "llamacpp", "f16 f16 f16", 16,
        "Matrices in 16 bits, norms and biases in 32: nothing is quantized.",
    ),
    _scheme(
        "gguf-q8_0", "llamacpp", "q8_0 q8_0 q8_0", 8,
        "Matrices in 8 bits (Q8_0), a 16-bit scale for 32 weights; norms and biases in 32 bits. "
        "Language models under 2,048 numbers a token keep attention, ffn_down and the output "
        "layer in 16 bits.",
    ),
    _scheme(
        "gguf-q4_k_m", "llamacpp", "q8_0 q8_0 q4_k_m", 4,
        "Matrices of the language model in 4 bits (Q4_K; Q6_K where llama.cpp's mix has it; Q5_0 "
        "and Q8_0 where 256 does not divide a row), of vision encoder and connector in 8; "
        "norms and biases in 32 bits.",
    ),
    _scheme(
        "gguf-lora", "llamacpp", "q8_0 q8_0 published", 4,
        "The language model's GGUF file as it was published, to the byte (nano's: 4 bits, Q4_1), "
        "and the trained adapter beside it in 16 bits: nothing of it is rounded anew. Matrices of "
        "vision encoder and connector in 8 bits. For models of ours only.",
    ),
    _scheme(
        "torch-f32", "torch", "f32 f32 f32", 32,
        "Nothing is quantized: transformers' own computation, the reference.",
    ),
    _scheme(
        "torch-bf16", "torch", "bf16 bf16 bf16", 16,
        "bfloat16 throughout, as checkpoints are published; norms too.",
    ),
    _scheme(
        "int8", "torch", "int8 int8 int8", 8,
        "bitsandbytes LLM.int8: linear layers of all three parts in 8 bits, outlier columns, "
        "convolutions, embedding, output layer and norms in 16.",
    ),
    _scheme(
        "nf4", "torch", "nf4 nf4 nf4", 4,
        "bitsandbytes NF4 with double quantization: linear layers of all three parts in 4 bits; "
        "convolutions, embedding, output layer and norms in 16.",
    ),
)  # fmt: skip

SCHEMES = {scheme.name: scheme for scheme in _ALL}

DEFAULT_SCHEME = "openvino-int8"
WIDE_SCHEME = "native-int8"
"""The default of language models of 2,048 and more numbers a token, where its kernel is there."""


def find_scheme(name: str) -> Scheme:
    """Look a scheme up by its exact name.

    Raises:
        ConfigError: If there is none of that name.

    Example:
        >>> find_scheme("nf4").engine
        'torch'
        >>> find_scheme("gguf-q4_k")
        Traceback (most recent call last):
        tinymed.errors.ConfigError: No scheme 'gguf-q4_k'. Did you mean 'gguf-q4_k_m'? Known: \
openvino-f32, openvino-int8, openvino-int4, native-int8, native-int4, gguf-f16, gguf-q8_0, \
gguf-q4_k_m, gguf-lora, torch-f32, torch-bf16, int8, nf4.
    """
    if name not in SCHEMES:
        near = difflib.get_close_matches(name, SCHEMES, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"No scheme '{name}'.{hint} Known: {', '.join(SCHEMES)}.")
    return SCHEMES[name]
