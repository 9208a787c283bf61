"""EfficientNet-Lite2 as an OpenVINO graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import opset13 as opset

from tinymed.engines.openvino.layers import Array, Store, reshape, transpose
from tinymed.models.efficientnet_lite import (
    FEATURE_SIZE,
    GRID,
    IMAGE_SIZE_PX,
    blocks,
    folded,
)

RELU_LIMIT = 6.0


def efficientnet(tensors: dict[str, Array], store: Store) -> tuple[Any, Any]:
    """Build the encoder.

    Convolutions are stored in float16 in the smaller builds: there are 5 million weights,
    and the first layers do not bear 8 bits.

    Returns:
        The input, shape (1, 3, 260, 260), and the features, shape (1, 81, 1280).
    """
    pixels = opset.parameter([1, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX], np.float32, name="pixels")

    def convolve(x: Any, name: str, norm: str, *, stride: int = 1, linear: bool = False) -> Any:
        weight, bias = folded(tensors, name, norm)
        result = _convolution(x, weight, stride, store)
        result = opset.add(result, store.vector(bias.reshape(1, -1, 1, 1)))
        return result if linear else opset.clamp(result, 0.0, RELU_LIMIT)

    x = convolve(pixels, "_conv_stem", "_bn0", stride=2)
    for index, block in enumerate(blocks()):
        prefix, entered = f"_blocks.{index}.", x
        if block.expand != 1:
            x = convolve(x, f"{prefix}_expand_conv", f"{prefix}_bn0")
        x = convolve(x, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=block.stride)
        x = convolve(x, f"{prefix}_project_conv", f"{prefix}_bn2", linear=True)
        if block.is_residual:
            x = opset.add(x, entered)
    x = convolve(x, "_conv_head", "_bn1")
    features = transpose(reshape(x, [1, FEATURE_SIZE, GRID * GRID]), [0, 2, 1])
    return pixels, features


def _convolution(x: Any, weight: Array, stride: int, store: Store) -> Any:
    """Padded as TensorFlow's "same": an odd pixel of padding goes right and below."""
    depthwise = weight.shape[1] == 1 and weight.shape[0] > 1
    if depthwise:
        weight = weight[:, None]  # (groups, 1, 1, height, width)
    stored = store.convolution(weight)
    operator = opset.group_convolution if depthwise else opset.convolution
    return operator(x, stored, [stride, stride], [0, 0], [0, 0], [1, 1], auto_pad="same_upper")
