"""Frozen vision encoders for training."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel

from tinymed.models.checkpoint import vision_config, vision_state
from tinymed.models.parts import vision_encoder


class FrozenEncoder:
    """A vision encoder of `tinymed.models.parts`, in float32.

    Gives the last hidden state (of DINOv2: before the final norm, without the class token).
    """

    def __init__(self, name: str, path: Path) -> None:
        facts = vision_encoder(name)
        self.digest = facts.part.sha256
        self.preprocessing = facts.preprocessing
        self.feature_size = facts.feature_size
        self.grid = facts.grid
        self.model = AutoModel.from_config(vision_config(name))
        self.model.train(mode=False)
        self.model.load_state_dict(vision_state(name, path), strict=True)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Shape (batch, 3, size, size) to (batch, grid * grid, feature_size)."""
        hidden: Tensor = self.model(pixels, output_hidden_states=True).hidden_states[-1]
        return hidden[:, -self.grid * self.grid :]
