"""The ways in which a tensor of the result is made of the original's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from tinymed.models.importers.integrity import empty_model, state_shapes
from tinymed.models.importers.layout import TensorPlan

Make = Callable[[list[torch.Tensor]], torch.Tensor]


def as_it_is(tensors: list[torch.Tensor]) -> torch.Tensor:
    """The only source, unchanged."""
    (tensor,) = tensors
    return tensor


def grown_to(num_rows: int) -> Make:
    """Rows of noughts below the only source, up to `num_rows`.

    For embeddings, when the image token gets an id of its own: its row is never read, because
    the image's features stand in its place, and its logit is always 0.
    """

    def make(tensors: list[torch.Tensor]) -> torch.Tensor:
        (tensor,) = tensors
        num_missing = num_rows - tensor.shape[0]
        if num_missing <= 0:
            return tensor
        return torch.cat([tensor, tensor.new_zeros((num_missing, *tensor.shape[1:]))])

    return make


def place(name: str, *sources: str, make: Make = as_it_is) -> TensorPlan:
    """A tensor of the result and what it is made of."""
    return TensorPlan(name=name, sources=sources, make=make)


def placed_below(
    config: Mapping[str, Any], prefixes: Mapping[str, str], *, apart: Mapping[str, TensorPlan]
) -> tuple[TensorPlan, ...]:
    """A plan for every tensor that transformers' class has, by the original's prefixes.

    It goes from the result to the original: what the original lacks and what it has too much
    both show under the original's own names.

    Args:
        config: config.json of the result.
        prefixes: For the start of a name of the result, the start in the original; the first
            that fits is taken.
        apart: Tensors of the result that are not merely renamed.

    Raises:
        ModelError: If transformers has no class for the config.
    """
    return tuple(
        apart.get(name) or place(name, _original(name, prefixes))
        for name in state_shapes(empty_model(config))
    )


def _original(name: str, prefixes: Mapping[str, str]) -> str:
    for prefix, original in prefixes.items():
        if name.startswith(prefix):
            return original + name.removeprefix(prefix)
    return name
