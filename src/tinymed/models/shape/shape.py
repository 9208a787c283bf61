"""A model's shape: every tensor it has, and what decides its speed and memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

TensorKind = Literal["matrix", "embedding", "output", "convolution", "position", "norm", "bias"]
"""What a scheme tells apart. "matrix": multiplied with every token, routers included; "output":
the layer that gives logits; "position": a table of positions or a class token; "norm": a norm's
weight; "bias": any bias, a norm's too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorShape:
    """One tensor of a checkpoint."""

    name: str
    """As transformers saves it."""
    shape: tuple[int, ...]
    part: str
    """One of `schemes.PARTS`."""
    kind: TensorKind
    is_expert: bool = False
    """One of several experts' matrices: not every token is multiplied with it."""

    @property
    def num_weights(self) -> int:
        """Numbers in it."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionShape:
    """What of a vision encoder decides how long it takes."""

    encoder: str
    """"clip", "siglip", "efficientnet-lite2", "idefics3", …: the configuration's model type."""
    image_px: int
    """Side of the square it reads."""
    patch_px: int | None
    """Side of a patch; None for convolutional encoders."""
    width: int
    middle: int
    heads: int
    """0 for convolutional encoders, as `middle`."""
    layers: int
    """That run: LLaVA leaves out the last."""
    tokens: int
    """Rows that a layer computes with for one tile, the class token included."""
    tiles: int
    """Tiles that an image of `image_px` is cut into: 1 but for models that tile."""
    num_operations: float
    """Multiplications and additions of one image, 2 a weight and use, attention included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextShape:
    """What of a language model decides how long it takes and what its cache takes."""

    model_type: str
    """"llama", "mistral", "phi", …"""
    width: int
    middle: int
    layers: int
    heads: int
    key_heads: int
    head_width: int
    vocabulary: int
    context_tokens: int
    """Longest sequence it was made for."""
    is_tied: bool
    """Whether the output layer is the embedding table."""
    num_experts: int = 0
    experts_per_token: int = 0

    @property
    def key_value_numbers(self) -> int:
        """Numbers that the cache keeps of one token."""
        return 2 * self.layers * self.key_heads * self.head_width


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A vision-language model without its weights."""

    name: str
    model_type: str
    """Of the whole: "llava", "aya_vision", "idefics3", …"""
    vision: VisionShape
    text: TextShape
    image_tokens: int
    """That one image of `vision.image_px` becomes."""
    tensors: tuple[TensorShape, ...]
    runs_only_in_transformers: str = ""
    """Why our engines cannot build it, in a sentence; "" where they can."""
    source_bytes: int | None = None
    """On disk, with all it is made of; None where that is a checkpoint in 16 bits."""
    fetched_bytes: int | None = None
    """That fetching it takes; None where that is `source_bytes`."""
    remarks: tuple[str, ...] = ()
    """What was taken for granted because the configuration does not say it."""

    def num_weights(self, part: str | None = None) -> int:
        """Numbers in one of `schemes.PARTS`, or in all."""
        return sum(one.num_weights for one in self.tensors if part in (None, one.part))
