"""The vision encoder and the connector as one OpenVINO graph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino as ov
from openvino import opset13 as opset
from openvino._offline_transformations import apply_moc_transformations

from tinymed.engines.openvino.efficientnet import efficientnet
from tinymed.engines.openvino.layers import (
    Array,
    Precision,
    layer_norm,
    linear,
    product_with,
    reshape,
    slice_axis,
    split_axis,
    stored_weight,
    transpose,
)
from tinymed.errors import ModelError
from tinymed.models.efficientnet_lite import read_efficientnet

FINAL_NORM = "backbone.layernorm.weight"
"""Whatever follows the encoder's last layer begins with this norm; we cut before it."""
LAYER_NORM_EPSILON = 1e-6


class VisionSource(Protocol):
    """What the vision graph is made from."""

    @property
    def vision_encoder(self) -> str:
        """The encoder's name in `tinymed.models.parts`."""

    @property
    def vision_file(self) -> Path:
        """The encoder's file."""

    @property
    def fold(self) -> int:
        """Patches along one side that the connector folds into one image token."""

    @property
    def connector(self) -> dict[str, Array]:
        """Tensors of transformers' AyaVisionMultiModalProjector."""


def vision_graph(source: VisionSource, *, precision: Precision) -> ov.Model:
    """Build the graph: one normalized image in, its image tokens out.

    Shapes:
        pixels: (1, 3, height, width), float32.
        image_tokens: (1, tokens, hidden), float32.

    Args:
        source: Encoder and connector.
        precision: How the weights of linear layers are stored.

    Raises:
        ModelError: If the file cannot be read or holds no such encoder.
    """
    if source.vision_encoder == "efficientnet-lite2":
        pixels, cells = efficientnet(read_efficientnet(source.vision_file), precision)
        tokens = _connect(_fold(cells, source.fold), source.connector, precision)
        return _named(tokens, [pixels])
    encoder = _read_onnx(source.vision_file)
    hidden = _before_final_norm(encoder, source.vision_file)
    patches = slice_axis(hidden, 1, np.iinfo(np.int64).max, 1)  # without the class token
    tokens = _connect(_fold(patches, source.fold), source.connector, precision)
    model = _named(tokens, encoder.get_parameters())
    # Folds what an export computes anew for every image and joins what it spells out:
    # the graph then loads in 0.4 s instead of 2.4 s.
    apply_moc_transformations(model, cf=True)
    if precision != "f32":
        _store_weights(model, precision)
    return model


def _named(tokens: Any, parameters: list[Any]) -> ov.Model:
    result = opset.result(tokens)
    parameters[0].output(0).get_tensor().set_names({"pixels"})
    result.output(0).get_tensor().set_names({"image_tokens"})
    return ov.Model([result], parameters, "vision")


def _read_onnx(path: Path) -> ov.Model:
    try:
        source = ov.Core().read_model(path)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1]
        raise ModelError(f"'{path}' is not a readable vision encoder: {reason}") from error
    shape = source.input(0).get_partial_shape()
    source.reshape(ov.PartialShape([1, *list(shape)[1:]]))
    return source


def _before_final_norm(source: ov.Model, encoder: Path) -> Any:
    for node in source.get_ops():
        if node.get_friendly_name() == FINAL_NORM:
            break
    else:
        raise ModelError(f"The vision encoder '{encoder}' has no '{FINAL_NORM}'.")
    # The norm is spelt out: (x - mean) / deviation * weight. Walk up to its x.
    (scaled,) = node.output(0).get_target_inputs()
    above = scaled.get_node()
    while above.get_type_name() != "Subtract":
        if above.get_type_name() not in ("Multiply", "Divide"):
            raise ModelError(f"The vision encoder '{encoder}' spells its final norm unexpectedly.")
        above = above.input_value(0).get_node()
    return above.input_value(0)


def _fold(patches: Any, fold: int) -> Any:
    """Join fold x fold patches, as AyaVision's `pixel_shuffle`."""
    if fold == 1:
        return patches
    _, length, width = patches.output(0).get_shape()
    side = math.isqrt(length) // fold
    blocks = transpose(reshape(patches, [side, fold, side, fold, width]), [0, 2, 1, 3, 4])
    return reshape(blocks, [1, side * side, fold * fold * width])


def _connect(folded: Any, connector: dict[str, Array], precision: Precision) -> Any:
    def apply(values: Any, name: str) -> Any:
        weight, bias = connector[f"{name}.weight"], connector[f"{name}.bias"]
        return linear(values, weight, precision, bias)

    normal = layer_norm(
        folded, connector["layernorm.weight"], connector["layernorm.bias"], LAYER_NORM_EPSILON
    )
    wide = apply(normal, "linear_1")
    middle = connector["linear_1.weight"].shape[0] // 2
    value, gate = split_axis(wide, [middle, middle], 2)
    return apply(opset.multiply(opset.swish(gate), value), "linear_2")


def _store_weights(model: ov.Model, precision: Precision) -> None:
    """Store the encoder's own matrices as `precision` says."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        constant = node.input_value(1).get_node()
        if constant.get_type_name() != "Constant":
            continue
        weight = constant.data if node.get_attributes()["transpose_b"] else constant.data.T
        stored = stored_weight(np.ascontiguousarray(weight, dtype=np.float32), precision)
        product = product_with(node.input_value(0), stored)
        product.set_friendly_name(node.get_friendly_name())
        ov.utils.replace_node(node, product)
