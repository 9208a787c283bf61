"""A model with exactly the weights that its native build stands for, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinymed.engines.native.ops import Floats
from tinymed.engines.native.packed import PackedMatrix, pack, unpack
from tinymed.engines.native.plain import PlainOps
from tinymed.models.weights import ModelWeights


def rounded(weights: ModelWeights, bits: Mapping[str, int]) -> ModelWeights:
    """Matrices as they come out of a build with `bits` for each part."""
    language = {
        name: _matrix(values, bits["language_model"])
        if values.ndim == 2 and name not in ("embed_tokens.weight", "lm_head.weight")
        else values
        for name, values in weights.language.items()
    }
    for name in ("embed_tokens.weight", "lm_head.weight"):
        if name in language:
            language[name] = _matrix(language[name], 8)
    vision = {
        name: values.astype(np.float16).astype(np.float32)
        if name.startswith("embeddings.") and name.endswith("weight")
        else _matrix(values, bits["vision_encoder"])
        if values.ndim == 2
        else values
        for name, values in weights.vision.items()
    }
    connector = {
        name: _matrix(values, bits["connector"]) if values.ndim == 2 else values
        for name, values in weights.connector.items()
    }
    return replace(weights, language=language, vision=vision, connector=connector)


class WideOps(PlainOps):
    """Operations that do not round what is multiplied: what is left is the model itself."""

    name = "wide"

    def linear(self, values: Floats, matrix: PackedMatrix, out: Floats, *, add: bool) -> None:
        product = values @ unpack(matrix).T
        if matrix.bias is not None:
            product += matrix.bias
        out[:] = product + out if add else product


def _matrix(values: Floats, bits: int) -> Floats:
    rows, columns = values.shape
    data = pack(values, bits)
    return unpack(PackedMatrix(bits=bits, rows=rows, columns=columns, data=data))
