"""CLIP's and SigLIP's vision transformer as OpenVINO nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from openvino import opset13 as opset

from tinymed.engines.openvino.connector import activate
from tinymed.engines.openvino.layers import (
    Array,
    Store,
    layer_norm,
    reshape,
    slice_axis,
    split_axis,
    transpose,
)
from tinymed.models.vit import VitConfig


def vision_transformer(
    tensors: Mapping[str, Array], config: VitConfig, store: Store
) -> tuple[Any, Any]:
    """Build the encoder.

    Returns:
        The input, shape (1, 3, size, size), and the features, shape (1, patches, hidden).
    """
    size, patch = config.image_size_px, config.patch_size_px
    pixels = opset.parameter([1, 3, size, size], np.float32, name="pixels")
    hidden = _embed(pixels, tensors, config, store, patch)
    if config.has_pre_norm:
        hidden = _norm(hidden, tensors, "pre_layrnorm", config, store)
    for layer in range(config.num_layers):
        name = f"encoder.layers.{layer}."
        normal = _norm(hidden, tensors, name + "layer_norm1", config, store)
        hidden = opset.add(hidden, _attention(normal, tensors, name + "self_attn.", config, store))
        normal = _norm(hidden, tensors, name + "layer_norm2", config, store)
        wide = activate(_linear(normal, tensors, name + "mlp.fc1", store), config.activation)
        hidden = opset.add(hidden, _linear(wide, tensors, name + "mlp.fc2", store))
    if config.has_class_token:
        hidden = slice_axis(hidden, 1, np.iinfo(np.int64).max, 1)
    return pixels, hidden


def _embed(
    pixels: Any, tensors: Mapping[str, Array], config: VitConfig, store: Store, patch: int
) -> Any:
    weight = store.convolution(tensors["embeddings.patch_embedding.weight"])
    cells = opset.convolution(pixels, weight, [patch] * 2, [0, 0], [0, 0], [1, 1])
    hidden = transpose(reshape(cells, [1, config.hidden_size, config.grid**2]), [0, 2, 1])
    if "embeddings.patch_embedding.bias" in tensors:
        bias = store.vector(tensors["embeddings.patch_embedding.bias"])
        hidden = opset.add(hidden, bias)
    if config.has_class_token:
        token = store.vector(tensors["embeddings.class_embedding"].reshape(1, 1, -1))
        hidden = opset.concat([token, hidden], 1)
    positions = tensors["embeddings.position_embedding.weight"][None]
    return opset.add(hidden, store.convolution(positions))


def _attention(
    values: Any, tensors: Mapping[str, Array], name: str, config: VitConfig, store: Store
) -> Any:
    parts = [f"{name}{part}_proj" for part in "qkv"]
    joint = store.linear(
        values,
        np.concatenate([tensors[f"{part}.weight"] for part in parts]),
        f"{name}qkv_proj",
        np.concatenate([tensors[f"{part}.bias"] for part in parts]),
    )
    heads, width = config.num_heads, config.hidden_size // config.num_heads
    joint = transpose(reshape(joint, [1, -1, 3 * heads, width]), [0, 2, 1, 3])
    query, key, value = split_axis(joint, [heads] * 3, 1)
    mixed = opset.scaled_dot_product_attention(query, key, value)
    joined = reshape(transpose(mixed, [0, 2, 1, 3]), [1, -1, config.hidden_size])
    return _linear(joined, tensors, f"{name}out_proj", store)


def _linear(values: Any, tensors: Mapping[str, Array], name: str, store: Store) -> Any:
    return store.linear(values, tensors[f"{name}.weight"], name, tensors[f"{name}.bias"])


def _norm(
    values: Any, tensors: Mapping[str, Array], name: str, config: VitConfig, store: Store
) -> Any:
    weight, bias = (store.vector(tensors[f"{name}.{kind}"]) for kind in ("weight", "bias"))
    return layer_norm(values, weight, bias, config.layer_norm_eps)
