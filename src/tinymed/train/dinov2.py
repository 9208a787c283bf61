"""DINOv2 as a frozen encoder for training."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import Dinov2Model

from tinymed.images.prepare import Preprocessing
from tinymed.models.checkpoint import dinov2_config
from tinymed.models.vision_onnx import vision_tensors


class Dinov2Small:
    """DINOv2-small: 16 x 16 patches of a 224-pixel image, 384 features each.

    Gives the last layer's hidden state before the final norm (the connector begins with
    its own), without the class token.
    """

    feature_size = 384
    grid = 16
    downsample = 2

    def __init__(self, onnx_file: Path, *, digest: str, preprocessing: Preprocessing) -> None:
        self.digest = digest
        self.preprocessing = preprocessing
        self.model = Dinov2Model(dinov2_config())
        self.model.train(mode=False)
        tensors = vision_tensors(onnx_file)
        state = {name: torch.from_numpy(values) for name, values in tensors.items()}
        self.model.load_state_dict(state, strict=True)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Shape (batch, 3, 224, 224) to (batch, 256, 384)."""
        hidden: Tensor = self.model(pixels, output_hidden_states=True).hidden_states[-1]
        return hidden[:, 1:]
