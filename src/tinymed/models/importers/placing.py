"""The ways in which a tensor of the result is made of the original's."""

from __future__ import annotations

from collections.abc import Callable

import torch

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
