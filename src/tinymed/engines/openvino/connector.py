"""Connectors as OpenVINO nodes: from vision features to image tokens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from openvino import opset13 as opset

from tinymed.engines.openvino.layers import (
    Store,
    layer_norm,
    reshape,
    split_axis,
    transpose,
)
from tinymed.errors import ModelError
from tinymed.models.weights import ModelWeights

LAYER_NORM_EPSILON = 1e-6


def connect(features: Any, weights: ModelWeights, store: Store) -> Any:
    """Features of shape (1, patches, width) to image tokens of shape (1, tokens, hidden)."""
    tensors = weights.connector

    def apply(values: Any, name: str) -> Any:
        return store.linear(values, tensors[f"{name}.weight"], name, tensors[f"{name}.bias"])

    if weights.connector_kind == "llava":
        return apply(
            activate(apply(features, "linear_1"), weights.connector_activation), "linear_2"
        )
    normal = layer_norm(
        fold_patches(features, weights.fold),
        store.vector(tensors["layernorm.weight"]),
        store.vector(tensors["layernorm.bias"]),
        LAYER_NORM_EPSILON,
    )
    wide = apply(normal, "linear_1")
    middle = tensors["linear_1.weight"].shape[0] // 2
    value, gate = split_axis(wide, [middle, middle], 2)
    return apply(opset.multiply(opset.swish(gate), value), "linear_2")


def activate(values: Any, name: str) -> Any:
    """An activation by transformers' name, shortened as in `tinymed.models.vit`.

    Raises:
        ModelError: If there is no such activation.
    """
    if name == "quick_gelu":
        return opset.multiply(
            values, opset.sigmoid(opset.multiply(values, opset.constant(np.float32(1.702))))
        )
    if name in ("gelu", "gelu_tanh"):
        return opset.gelu(values, "tanh" if name == "gelu_tanh" else "erf")
    raise ModelError(f"No activation '{name}'. Known: gelu, gelu_tanh, quick_gelu.")


def fold_patches(patches: Any, fold: int) -> Any:
    """Join fold x fold patches, as AyaVision's `pixel_shuffle`."""
    if fold == 1:
        return patches
    _, length, width = patches.output(0).get_shape()
    side = math.isqrt(length) // fold
    blocks = transpose(reshape(patches, [side, fold, side, fold, width]), [0, 2, 1, 3, 4])
    return reshape(blocks, [1, side * side, fold * fold * width])
