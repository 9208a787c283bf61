"""bitsandbytes' two kinds of matrices: packed, and made into layers that compute with them.

nf4: 4-bit normal floats in blocks of 64 along the flattened rows, their scales in 8 bits with
scales of their own (double quantization, QLoRA, arXiv:2305.14314). int8: one scale a row,
outlier columns of the activations apart in 16 bits (LLM.int8, arXiv:2208.07339).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from bitsandbytes import functional as bnb
from bitsandbytes.nn.modules import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import Tensor, nn
from torch.nn import functional

PackedPrecision = Literal["int8", "nf4"]

BLOCK = 64
"""Weights that share a scale in nf4."""
OUTLIER = 6.0
"""Activations from this on are computed in 16 bits by LLM.int8, as its paper has it."""
_SCALES_BLOCK = 256
"""Scales that share a scale of their own in nf4."""
_FACTS = "quant_state.bitsandbytes__nf4"
_FACTS_BYTES = 256
"""Block size, offset and the like as JSON, filled up with spaces to one length."""
_NF4_NAMES = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", _FACTS)
_FUSED_ROWS = 32
"""The processor's fused kernel takes as many rows at once, and whole blocks a row."""


def pack(weight: Tensor, precision: PackedPrecision) -> dict[str, Tensor]:
    """Quantize a matrix.

    Always on the processor, so that every machine packs the same bytes.

    Args:
        weight: Shape (outputs, inputs), floating point.
        precision: "int8" or "nf4".

    Returns:
        Tensors by the names that transformers saves them under, behind the layer's own; of
        the types and shapes that `packed_facts` foretells, in its order.
    """
    weight = weight.detach().cpu().contiguous()
    if precision == "int8":
        codes, scales, _ = bnb.int8_vectorwise_quant(weight.to(torch.float16))
        return {"weight": codes, "SCB": scales}
    codes, state = bnb.quantize_4bit(
        weight.float(), blocksize=BLOCK, compress_statistics=True, quant_type="nf4"
    )
    # What it was made from is told by the build; what comes out again is 16-bit.
    state.dtype = torch.bfloat16
    row = state.as_dict(packed=True)
    facts = bytes(row[_FACTS].tolist()).ljust(_FACTS_BYTES)
    row[_FACTS] = torch.tensor(list(facts), dtype=torch.uint8)
    return {"weight": codes, **{f"weight.{name}": row[name] for name in _NF4_NAMES}}


def packed_facts(
    shape: tuple[int, ...], precision: PackedPrecision
) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type of each tensor that `pack` makes of a matrix.

    >>> packed_facts((2, 3), "int8")
    {'weight': ((2, 3), torch.int8), 'SCB': ((2,), torch.float32)}
    """
    if precision == "int8":
        return {"weight": (shape, torch.int8), "SCB": (shape[:1], torch.float32)}
    num_weights = math.prod(shape)
    num_blocks = math.ceil(num_weights / BLOCK)
    shapes = (
        ((num_blocks,), torch.uint8),
        ((16,), torch.float32),
        ((math.ceil(num_blocks / _SCALES_BLOCK),), torch.float32),
        ((256,), torch.float32),
        ((_FACTS_BYTES,), torch.uint8),
    )
    names = (f"weight.{name}" for name in _NF4_NAMES)
    return {
        "weight": ((math.ceil(num_weights / 2), 1), torch.uint8),
        **dict(zip(names, shapes, strict=True)),
    }


def packed_precision(names: Mapping[str, Any]) -> PackedPrecision | None:
    """Which kind of packed matrix a layer's tensors are; None for plain numbers.

    >>> packed_precision({"weight": ..., "SCB": ...}), packed_precision({"weight": ...})
    ('int8', None)
    """
    if "SCB" in names:
        return "int8"
    return "nf4" if "weight.absmax" in names else None


def packed_layer(
    linear: nn.Linear, tensors: Mapping[str, Tensor], *, device: torch.device, dtype: torch.dtype
) -> nn.Linear:
    """A layer that computes with a packed matrix, in place of a plain one.

    Args:
        linear: Tells the shape; its own numbers are not read.
        tensors: What `pack` gave, and "bias" where there is one.
        device: Where it is to compute.
        dtype: In which numbers it is to compute.

    Raises:
        KeyError: If a tensor is missing.
    """
    if linear.bias is not None and "bias" not in tensors:
        raise KeyError("bias")
    make = _int8_layer if packed_precision(tensors) == "int8" else _nf4_layer
    layer = make(linear, {name: tensor.to(device) for name, tensor in tensors.items()}, dtype)
    if linear.bias is not None:
        bias = tensors["bias"].to(device=device, dtype=dtype)
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer.train(mode=False)


def is_packed_layer(layer: nn.Module) -> bool:
    """Whether a layer computes with a packed matrix of either kind."""
    return isinstance(layer, (Linear4bit, Linear8bitLt))


def is_packed(layer: nn.Module, precision: PackedPrecision) -> bool:
    """Whether a layer really computes with a matrix packed so."""
    weight: Any = layer.weight
    if precision == "int8":
        return isinstance(layer, Linear8bitLt) and weight.dtype == torch.int8
    if not isinstance(layer, Linear4bit) or weight.dtype != torch.uint8:
        return False
    return weight.quant_state is not None and weight.quant_state.quant_type == "nf4"


def scale_tensors(layer: nn.Module) -> list[Tensor]:
    """What a packed layer keeps in memory beside parameters and buffers."""
    weight: Any = layer.weight
    if isinstance(layer, Linear8bitLt):
        # Its first product moves them.
        return [scales for scales in (weight.SCB, layer.state.SCB) if scales is not None]
    row = weight.quant_state.as_dict(packed=False)
    return [value for value in row.values() if isinstance(value, Tensor)]


def _int8_layer(linear: nn.Linear, tensors: dict[str, Tensor], _: torch.dtype) -> nn.Linear:
    layer = _Int8Layer(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        has_fp16_weights=False,
        threshold=OUTLIER,
        device="meta",
    )
    codes = tensors["weight"]
    layer.weight = Int8Params(
        codes, requires_grad=False, has_fp16_weights=False, CB=codes, SCB=tensors["SCB"]
    )
    return layer


def _nf4_layer(linear: nn.Linear, tensors: dict[str, Tensor], dtype: torch.dtype) -> nn.Linear:
    layer = _Nf4Layer(  # type: ignore[no-untyped-call]
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=dtype,
        quant_type="nf4",
        device="meta",
    )
    state = {
        name.removeprefix("weight."): tensor
        for name, tensor in tensors.items()
        if name.startswith("weight.")
    }
    layer.weight = Params4bit.from_prequantized(
        tensors["weight"], state, device=tensors["weight"].device, module=layer
    )
    if linear.in_features % BLOCK or linear.out_features % _FUSED_ROWS:
        layer.support_avx512bf16_for_cpu = False
    return layer


class _Int8Layer(Linear8bitLt):
    """Linear8bitLt for activations of any shape and order of memory: it knows rows only."""

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        rows: Tensor = super().forward(x.reshape(-1, self.in_features).contiguous())
        return rows.reshape(*x.shape[:-1], self.out_features)


class _Nf4Layer(Linear4bit):
    """Linear4bit that is right on a processor for every shape and order of memory.

    Two things of bitsandbytes 0.50.2 give wrong numbers there without a word:

    * Blocks are packed along the flattened matrix and read, with AVX-512, row by row: where a
      row ends within a block, later weights get other blocks' scales (SigLIP-so400m has 4304
      inputs: 24 % error in place of 9 %). Read as rows of one block each, they are right.
    * The fused kernel takes the last axis of the activations for contiguous, which SigLIP's
      patches are not.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        if x.device.type != "cpu" or self.in_features % BLOCK == 0:
            result: Tensor = super().forward(x.contiguous())
            return result
        weight = self._dequantized().to(self.compute_dtype)
        return functional.linear(x.to(self.compute_dtype), weight, self.bias).to(x.dtype)

    def _dequantized(self) -> Tensor:
        state: Any = self.weight.quant_state  # type: ignore[attr-defined]
        scales = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
        num_weights = self.in_features * self.out_features
        num_blocks = len(scales)
        codes = self.weight.data.reshape(-1)
        codes = functional.pad(codes, (0, num_blocks * BLOCK // 2 - len(codes)))
        blocks: Tensor = torch.ops.bitsandbytes.dequantize_4bit(
            codes, scales, BLOCK, "nf4", (num_blocks, BLOCK), torch.float32
        )
        return blocks.reshape(-1)[:num_weights].reshape(self.out_features, self.in_features)
