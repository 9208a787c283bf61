"""The shape of a vision transformer of the CLIP family: CLIP or SigLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Activation = Literal["quick_gelu", "gelu", "gelu_tanh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VitConfig:
    """What of a vision transformer is run, and how."""

    kind: Literal["clip", "siglip"]
    image_size_px: int
    patch_size_px: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_layers: int
    """Layers that are run: LLaVA takes the hidden state before the last of CLIP's."""
    layer_norm_eps: float
    activation: Activation
    has_class_token: bool
    """A class token stands before the patches; it is left out of the features."""
    has_pre_norm: bool
    """A norm stands before the first layer (CLIP's `pre_layrnorm`)."""

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size_px // self.patch_size_px
