"""CLIP's and SigLIP's vision transformer over the engine's operations, and the connector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinymed.engines.native.layout import Layout, Matrix, PlainTensor, Tensors
from tinymed.engines.native.ops import Cache, Floats, Heads, Ops
from tinymed.engines.native.packed import WHOLE
from tinymed.engines.protocol import Pixels
from tinymed.models.vit import VitConfig
from tinymed.models.weights import ConnectorKind

CONNECTOR_EPSILON = 1e-6
"""Of the norm in our own connector."""

VISION, CONNECTOR = "vision.", "connector."
"""What the names in a file begin with; transformers' follow, but for joint matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorConfig:
    """Shape of a connector."""

    kind: ConnectorKind
    activation: str
    """Between a LLaVA connector's two layers; "" in our own."""
    fold: int
    """Patches along one side that become one image token."""
    middle_size: int
    """What its second layer reads."""
    hidden_size: int
    """What the language model reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionConfig:
    """Shape of encoder and connector, and the bits of their matrices."""

    vit: VitConfig
    connector: ConnectorConfig
    encoder_bits: int
    connector_bits: int

    def as_row(self) -> dict[str, Any]:
        """As a row of JSON."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> VisionConfig:
        """Back from a row of JSON."""
        return cls(
            vit=VitConfig(**row["vit"]),
            connector=ConnectorConfig(**row["connector"]),
            encoder_bits=row["encoder_bits"],
            connector_bits=row["connector_bits"],
        )


def encoder_layout(config: VitConfig, bits: int) -> Layout:
    """The encoder's tensors; patches and positions have 16 bits."""
    width, patches = config.hidden_size, config.grid**2
    pixels = 3 * config.patch_size_px**2
    layout: dict[str, Matrix | PlainTensor] = {
        "embeddings.patch_embedding": Matrix(
            bits=WHOLE, rows=width, columns=pixels, has_bias=config.kind == "siglip"
        ),
        "embeddings.position_embedding.weight": PlainTensor(
            shape=(patches + config.has_class_token, width), dtype="F16"
        ),
    }
    if config.has_class_token:
        layout["embeddings.class_embedding"] = PlainTensor(shape=(width,))
    if config.has_pre_norm:
        layout |= _norm_layout("pre_layrnorm", width)
    for layer in range(config.num_layers):
        layout |= _layer_layout(f"encoder.layers.{layer}.", config, bits)
    return {VISION + name: kind for name, kind in layout.items()}


def connector_layout(config: VisionConfig) -> Layout:
    """The connector's tensors. Of our own, the gate stands before what it opens for."""
    connector, bits = config.connector, config.connector_bits
    width = config.vit.hidden_size * connector.fold**2
    is_ours = connector.kind == "aya-vision"
    wide = connector.middle_size * (2 if is_ours else 1)
    layout: dict[str, Matrix | PlainTensor] = {
        "linear_1": Matrix(bits=bits, rows=wide, columns=width, has_bias=True),
        "linear_2": Matrix(
            bits=bits, rows=connector.hidden_size, columns=connector.middle_size, has_bias=True
        ),
    }
    if is_ours:
        layout |= _norm_layout("layernorm", width)
    return {CONNECTOR + name: kind for name, kind in layout.items()}


def _layer_layout(name: str, config: VitConfig, bits: int) -> Layout:
    width, middle = config.hidden_size, config.intermediate_size

    def matrix(rows: int, columns: int) -> Matrix:
        return Matrix(bits=bits, rows=rows, columns=columns, has_bias=True)

    return {
        **_norm_layout(name + "layer_norm1", width),
        name + "self_attn.qkv_proj": matrix(3 * width, width),
        name + "self_attn.out_proj": matrix(width, width),
        **_norm_layout(name + "layer_norm2", width),
        name + "mlp.fc1": matrix(middle, width),
        name + "mlp.fc2": matrix(width, middle),
    }


def _norm_layout(name: str, width: int) -> Layout:
    return {f"{name}.{kind}": PlainTensor(shape=(width,)) for kind in ("weight", "bias")}


class VisionModel:
    """Turns pixels into what the language model reads."""

    def __init__(self, tensors: Tensors, config: VisionConfig, ops: Ops) -> None:
        """Make a model of the layouts' tensors."""
        self._tensors = tensors
        self._config = config
        self._ops = ops

    def look(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Features, (patches, width), and image tokens, (tokens, hidden), of one image."""
        features = self._features(pixels)
        return features, self._connect(features)

    def _features(self, pixels: Pixels) -> Floats:
        config = self._config.vit
        hidden = self._embed(pixels)
        if config.has_pre_norm:
            self._norm(hidden, VISION + "pre_layrnorm", config.layer_norm_eps, hidden)
        self._run_layers(hidden)
        return hidden[1:] if config.has_class_token else hidden

    def _embed(self, pixels: Pixels) -> Floats:
        plain, config = self._tensors.plain, self._config.vit
        matrix = self._tensors.matrices[VISION + "embeddings.patch_embedding"]
        side, patch = config.grid, config.patch_size_px
        # What is left of an image that patches do not fill is not looked at, as a convolution.
        cells = pixels[:, : side * patch, : side * patch].reshape(3, side, patch, side, patch)
        patches = np.ascontiguousarray(
            cells.transpose(1, 3, 0, 2, 4).reshape(side * side, -1), dtype=np.float32
        )
        hidden = np.empty((len(patches), config.hidden_size), np.float32)
        self._ops.linear(patches, matrix, hidden, add=False)
        if config.has_class_token:
            hidden = np.concatenate([plain[VISION + "embeddings.class_embedding"][None], hidden])
        hidden += plain[VISION + "embeddings.position_embedding.weight"]
        return hidden

    def _run_layers(self, hidden: Floats) -> None:
        config, ops, matrices = self._config.vit, self._ops, self._tensors.matrices
        tokens, width = hidden.shape
        heads = Heads(
            num_heads=config.num_heads,
            num_kv_heads=config.num_heads,
            size=width // config.num_heads,
        )
        cache = Cache.empty(heads, rows=1, tokens=tokens)
        normal, mixed = np.empty_like(hidden), np.empty_like(hidden)
        joint = np.empty((tokens, 3 * width), np.float32)
        wide = np.empty((tokens, config.intermediate_size), np.float32)
        rows, places = np.zeros(tokens, np.int32), np.arange(tokens, dtype=np.int32)
        visible = np.full(tokens, tokens, np.int32)
        for layer in range(config.num_layers):
            name = f"{VISION}encoder.layers.{layer}."
            self._norm(hidden, name + "layer_norm1", config.layer_norm_eps, normal)
            ops.linear(normal, matrices[name + "self_attn.qkv_proj"], joint, add=False)
            ops.store(joint, heads, cache, rows=rows, places=places, turns=None)
            ops.attend(
                joint, heads, cache, mixed, rows=rows, visible=visible, shared=None, num_shared=0
            )
            ops.linear(mixed, matrices[name + "self_attn.out_proj"], hidden, add=True)
            self._norm(hidden, name + "layer_norm2", config.layer_norm_eps, normal)
            ops.linear(normal, matrices[name + "mlp.fc1"], wide, add=False)
            ops.activate(wide, config.activation)
            ops.linear(wide, matrices[name + "mlp.fc2"], hidden, add=True)

    def _connect(self, features: Floats) -> Floats:
        connector, ops = self._config.connector, self._ops
        first, second = (self._tensors.matrices[f"{CONNECTOR}linear_{n}"] for n in (1, 2))
        if connector.kind == "aya-vision":
            features = fold_patches(features, connector.fold)
            normal = np.empty_like(features)
            self._norm(features, CONNECTOR + "layernorm", CONNECTOR_EPSILON, normal)
            features = normal
        wide = np.empty((len(features), first.rows), np.float32)
        ops.linear(np.ascontiguousarray(features), first, wide, add=False)
        if connector.kind == "aya-vision":
            middle = np.empty((len(wide), second.columns), np.float32)
            ops.gate(wide, middle)
        else:
            ops.activate(wide, connector.activation)
            middle = wide
        tokens = np.empty((len(wide), connector.hidden_size), np.float32)
        ops.linear(middle, second, tokens, add=False)
        return tokens

    def _norm(self, values: Floats, name: str, epsilon: float, out: Floats) -> None:
        plain = self._tensors.plain
        self._ops.layer_norm(values, plain[f"{name}.weight"], plain[f"{name}.bias"], epsilon, out)


def fold_patches(patches: Floats, fold: int) -> Floats:
    """Join fold x fold patches, as AyaVision's `pixel_shuffle`.

    >>> fold_patches(np.arange(16, dtype=np.float32).reshape(16, 1), 2)[1].tolist()
    [2.0, 3.0, 6.0, 7.0]
    """
    length, width = patches.shape
    side = math.isqrt(length) // fold
    blocks = patches.reshape(side, fold, side, fold, width).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(blocks.reshape(side * side, fold * fold * width))
