"""The vision encoder and the connector as one OpenVINO graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as opset
from openvino._offline_transformations import apply_moc_transformations

from tinymed.engines.openvino.connector import connect
from tinymed.engines.openvino.efficientnet import efficientnet
from tinymed.engines.openvino.layers import Store, product_with, slice_axis
from tinymed.engines.openvino.vit import vision_transformer
from tinymed.errors import ModelError
from tinymed.models.efficientnet_lite import read_efficientnet
from tinymed.models.weights import ModelWeights

FINAL_NORM = "backbone.layernorm.weight"
"""Whatever follows the encoder's last layer begins with this norm; we cut before it."""


def vision_graph(
    weights: ModelWeights, *, encoder_store: Store, connector_store: Store
) -> ov.Model:
    """Build the graph: one normalized image in, its image tokens and its features out.

    Shapes:
        pixels: (1, 3, height, width), float32.
        image_tokens: (1, tokens, hidden), float32.
        vision_features: (1, patches, features), float32: what the connector reads.

    Args:
        weights: Of the whole model.
        encoder_store: How the encoder's weights are kept.
        connector_store: How the connector's are.

    Raises:
        ModelError: If the encoder's file cannot be read or holds no such encoder.
    """
    if weights.vision_config is not None:
        pixels, features = vision_transformer(weights.vision, weights.vision_config, encoder_store)
        return _model(features, weights, connector_store, [pixels])
    if weights.vision_file is None:
        raise ModelError(f"The model '{weights.name}' has no vision encoder.")
    if weights.vision_encoder == "efficientnet-lite2":
        pixels, features = efficientnet(read_efficientnet(weights.vision_file), encoder_store)
        return _model(features, weights, connector_store, [pixels])
    encoder = _read_onnx(weights.vision_file)
    hidden = _before_final_norm(encoder, weights.vision_file)
    patches = slice_axis(hidden, 1, np.iinfo(np.int64).max, 1)  # without the class token
    plain = ov.Model([opset.result(patches)], encoder.get_parameters(), "encoder")
    # Folds what an export computes anew for every image and joins what it spells out:
    # the graph then loads in 0.4 s instead of 2.4 s.
    apply_moc_transformations(plain, cf=True)
    _store_weights(plain, encoder_store)
    features = plain.get_results()[0].input_value(0).get_node()
    return _model(features, weights, connector_store, plain.get_parameters())


def _model(
    features: Any, weights: ModelWeights, connector_store: Store, parameters: list[Any]
) -> ov.Model:
    results = []
    outputs = {
        "image_tokens": connect(features, weights, connector_store),
        "vision_features": features,
    }
    for name, node in outputs.items():
        result = opset.result(node)
        result.output(0).get_tensor().set_names({name})
        results.append(result)
    parameters[0].output(0).get_tensor().set_names({"pixels"})
    return ov.Model(results, parameters, "vision")


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


def _store_weights(model: ov.Model, store: Store) -> None:
    """Keep the encoder's own matrices as their store says."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        constant = node.input_value(1).get_node()
        if constant.get_type_name() != "Constant":
            continue
        weight = constant.data if node.get_attributes()["transpose_b"] else constant.data.T
        name = node.get_friendly_name()
        stored = store.weight(np.ascontiguousarray(weight, dtype=np.float32), name)
        product = product_with(node.input_value(0), stored)
        product.set_friendly_name(name)
        ov.utils.replace_node(node, product)
