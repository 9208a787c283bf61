"""The language models of Med-MoE, as classes that transformers' LLaVA takes.

transformers has no layer that computes what Med-MoE's do: beside the routed experts stands a
meta expert that every token passes, its output unscaled, and the router has a bias. The
classes are Phi's and StableLM's own with the multilayer perceptron of some layers replaced,
registered so that `from_pretrained` finds them once this module is imported.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    PhiConfig,
    PhiModel,
    PretrainedConfig,
    StableLmConfig,
    StableLmModel,
)
from transformers.models.phi.modeling_phi import PhiMLP
from transformers.models.stablelm.modeling_stablelm import StableLmMLP


class MoePhiConfig(PhiConfig):
    """Phi with experts in some layers."""

    model_type: ClassVar[str] = "med_moe_phi"

    moe_layers: list[int] | None = None
    """Layers whose multilayer perceptron is replaced by experts."""
    moe_num_experts: list[int] | None = None
    """Routed experts of each of those layers; the meta expert is not counted."""
    moe_top_k: int = 1
    """Routed experts that a token passes: 1 or 2."""


class MoeStableLmConfig(StableLmConfig):
    """StableLM with experts in some layers."""

    model_type: ClassVar[str] = "med_moe_stablelm"

    moe_layers: list[int] | None = None
    """Layers whose multilayer perceptron is replaced by experts."""
    moe_num_experts: list[int] | None = None
    """Routed experts of each of those layers; the meta expert is not counted."""
    moe_top_k: int = 1
    """Routed experts that a token passes: 1 or 2."""


class MixtureOfExperts(nn.Module):
    """A few experts chosen for each token, and one that all tokens pass.

    Shapes: ... x hidden_size in and out, any number of leading dimensions.

    With top_k 1 a token's output is p x chosen expert + meta expert, p the router's softmax
    probability of the chosen one, not renormalised. With top_k 2 the two probabilities are
    divided by their sum. The router computes in float32 whatever the weights' precision.

    Source:
        Med-MoE, `moe/layer.py` and `moe/sharded_moe.py` (commit 148cbd6), which change
        DeepSpeed's layer. What of it makes no difference at inference is left out: tokens are
        never dropped there (top_k 1 grows the capacity to what is needed; for top_k 2 it is
        2 x 4 / experts of the tokens, so none for up to 8 experts), so capacity and random
        token selection change nothing. One thing departs: the published top_k 2 draws
        Gumbel noise at inference too when it chooses the second expert, so its answers differ
        from run to run; here the second is the router's second choice, which is that
        draw's most likely outcome.
    """

    def __init__(
        self, experts: list[nn.Module], meta_expert: nn.Module, *, hidden_size: int, top_k: int
    ) -> None:
        super().__init__()
        self.top_k = top_k
        self.router = nn.Linear(hidden_size, len(experts))
        self.experts = nn.ModuleList(experts)
        self.meta_expert = meta_expert

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Every token through its own experts and the one for all."""
        tokens = hidden_states.reshape(-1, hidden_states.shape[-1])
        shares, chosen = self._route(tokens)
        output: Tensor = self.meta_expert(tokens)
        for number, expert in enumerate(self.experts):
            rows, choices = torch.where(chosen == number)
            if rows.numel():
                share = shares[rows, choices, None].to(tokens.dtype)
                output = output.index_add(0, rows, share * expert(tokens[rows]))
        return output.reshape(hidden_states.shape)

    def _route(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Shares and numbers of the chosen experts, each tokens x top_k."""
        weight, bias = self.router.weight.float(), self.router.bias.float()
        probabilities = nn.functional.linear(tokens.float(), weight, bias).softmax(dim=-1)
        shares, chosen = probabilities.topk(self.top_k, dim=-1)
        if self.top_k > 1:
            shares = shares / shares.sum(dim=-1, keepdim=True)
        return shares, chosen


class MoePhiModel(PhiModel):
    """Phi whose layers `config.moe_layers` have experts."""

    config_class = MoePhiConfig

    def __init__(self, config: MoePhiConfig) -> None:
        super().__init__(config)
        _replace(self.layers, config, PhiMLP)
        self.post_init()  # type: ignore[no-untyped-call]


class MoeStableLmModel(StableLmModel):
    """StableLM whose layers `config.moe_layers` have experts."""

    config_class = MoeStableLmConfig

    def __init__(self, config: MoeStableLmConfig) -> None:
        super().__init__(config)
        _replace(self.layers, config, StableLmMLP)
        self.post_init()  # type: ignore[no-untyped-call]


def _replace(layers: nn.ModuleList, config: Any, expert: Any) -> None:
    """Put experts where a layer had one multilayer perceptron, which stays as meta expert."""
    for index, number in zip(config.moe_layers or (), config.moe_num_experts or (), strict=True):
        layer: Any = layers[index]
        layer.mlp = MixtureOfExperts(
            [expert(config) for _ in range(number)],
            layer.mlp,
            hidden_size=config.hidden_size,
            top_k=config.moe_top_k,
        )


def _register(config: type[PretrainedConfig], model: Any) -> None:
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModel.register(config, model, exist_ok=True)


_register(MoePhiConfig, MoePhiModel)
_register(MoeStableLmConfig, MoeStableLmModel)
