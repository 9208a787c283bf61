"""A DINOv2 vision encoder's weights out of an ONNX export, under transformers' names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tinymed.errors import ModelError
from tinymed.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable

Array = npt.NDArray[np.float32]

PREFIX = "backbone."
RENAMED = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
}
LINEAR_LAYERS = (*RENAMED, "mlp.fc1", "mlp.fc2")


def vision_tensors(path: Path) -> dict[str, Array]:
    """Read the encoder's weights; whatever follows the encoder is left out.

    An export names biases and norms after the module but matrices after nothing: those
    are found by the name of the node that multiplies by them.

    Raises:
        ModelError: If the file is not such an export or a tensor is missing.
        MissingExtraError: If the package onnx is not installed.
    """
    onnx = require("onnx", extra="torch", for_what="Reading the vision encoder for torch")
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's errors have no public base; re-raised with context
        raise ModelError(f"'{path}' is not a readable ONNX file: {error}.") from error
    arrays = {
        tensor.name: np.array(onnx.numpy_helper.to_array(tensor)) for tensor in graph.initializer
    }
    tensors = {
        _renamed(name.removeprefix(PREFIX)): values
        for name, values in arrays.items()
        if name.startswith(PREFIX)
    }
    tensors |= _linear_weights(graph.node, arrays)
    tensors["embeddings.position_embeddings"] = _position_embeddings(arrays)
    tensors["embeddings.mask_token"] = np.zeros(
        (1, tensors["layernorm.weight"].shape[0]), np.float32
    )
    return tensors


def _renamed(name: str) -> str:
    for old, new in RENAMED.items():
        name = name.replace(f".{old}.", f".{new}.")
    return name


def _linear_weights(nodes: Iterable[Any], arrays: dict[str, Array]) -> dict[str, Array]:
    weights = {}
    for node in nodes:
        if node.op_type != "MatMul" or node.input[1] not in arrays:
            continue
        module = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
        if module.startswith(PREFIX) and module.endswith(LINEAR_LAYERS):
            name = _renamed(module.removeprefix(PREFIX) + ".weight")
            weights[name] = np.ascontiguousarray(arrays[node.input[1]].T)
    return weights


def _position_embeddings(arrays: dict[str, Array]) -> Array:
    class_token = [v for n, v in arrays.items() if n.startswith("onnx::Concat") and v.ndim == 3]  # noqa: PLR2004
    patches = [v for n, v in arrays.items() if n.startswith("onnx::Reshape") and v.ndim == 3]  # noqa: PLR2004
    if len(class_token) != 1 or len(patches) != 1:
        raise ModelError("The vision encoder's file has no position embeddings where expected.")
    return np.concatenate([class_token[0], patches[0]], axis=1)
