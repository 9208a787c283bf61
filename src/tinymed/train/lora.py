"""Low-rank adapters on linear layers, computed without wide temporary arrays.

peft's layer spends most of its time, on a CPU, scaling and adding arrays as wide as the
layer's output, and casting its input to float32. Here the update is accumulated into the
product (benchmarks in docs/decisions/0004). Saved adapters merge as B @ A * alpha / rank.

Source:
    Hu et al. (2021), "LoRA: Low-Rank Adaptation of Large Language Models",
    arXiv 2106.09685. Ours has no dropout.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class _LowRankProduct(torch.autograd.Function):
    """x W^T + (x A^T) B^T, with W frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        narrow = flat @ a.t()
        product = flat @ weight.t()
        product.addmm_(narrow, b.t())
        ctx.save_for_backward(flat, weight, a, b, narrow)
        return product.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        flat, weight, a, b, narrow = ctx.saved_tensors
        out = gradient.reshape(-1, gradient.shape[-1])
        narrow_gradient = out @ b
        x_gradient = out @ weight
        x_gradient.addmm_(narrow_gradient, a)
        return (
            x_gradient.view(*gradient.shape[:-1], -1),
            None,
            narrow_gradient.t() @ flat,
            out.t() @ narrow,
        )


class LoraLinear(nn.Module):
    """A frozen linear layer without bias, and a trained update of low rank.

    The frozen weight keeps its dtype, in which products are computed; the update is kept
    in float32, since bfloat16 AdamW loses small steps.
    """

    def __init__(self, linear: nn.Linear, *, rank: int, alpha: float) -> None:
        super().__init__()
        bias: Tensor | None = linear.bias
        if bias is not None:
            raise ValueError("LoraLinear takes a layer without bias.")
        self.weight = linear.weight
        self.lora_A = nn.Parameter(torch.empty(rank, linear.in_features))
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.scale = alpha / rank
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, in) to (…, out)."""
        dtype = self.weight.dtype
        product: Tensor = _LowRankProduct.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.lora_A.to(dtype), (self.lora_B * self.scale).to(dtype)
        )
        return product


def add_lora(model: nn.Module, *, rank: int, alpha: float) -> list[nn.Parameter]:
    """Replace every linear layer named in TARGETS; return what is to be trained."""
    parameters: list[nn.Parameter] = []
    for name, module in list(model.named_modules()):
        if not isinstance(module, nn.Linear) or name.rsplit(".", 1)[-1] not in TARGETS:
            continue
        parent = model.get_submodule(name.rsplit(".", 1)[0])
        adapted = LoraLinear(module, rank=rank, alpha=alpha)
        setattr(parent, name.rsplit(".", 1)[-1], adapted)
        parameters += [adapted.lora_A, adapted.lora_B]
    return parameters
