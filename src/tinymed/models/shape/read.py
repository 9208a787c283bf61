"""A model's shape from its configuration: no weights, no torch, no transformers."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.shape.efficientnet import MODEL_TYPE as EFFICIENTNET
from tinymed.models.shape.efficientnet import efficientnet_shape
from tinymed.models.shape.engines import runs_only_in_transformers
from tinymed.models.shape.fields import Fields
from tinymed.models.shape.image_tokens import Grid, ImageCount
from tinymed.models.shape.parts import Parts, read_parts
from tinymed.models.shape.published import from_published
from tinymed.models.shape.shape import ModelShape, TensorShape, TextShape, VisionShape
from tinymed.models.shape.tensor_list import TensorList
from tinymed.models.shape.text import read_text, text_tensors
from tinymed.models.shape.vision import VisionSizes, read_vision, vision_shape, vision_tensors


def read_shape(config: Mapping[str, Any], *, name: str, image_px: int | None = None) -> ModelShape:
    """Every tensor of a vision-language model, and what decides its speed and memory.

    Tensors are named as in the state dict of the model's class in transformers; a tied output
    layer is the embedding table and has no tensor of its own.

    Args:
        config: A config.json as transformers reads it, values it leaves out being its class's
            defaults; or one of the layouts that `models.importers` reads.
        name: What to call the model.
        image_px: Side of the images that it is given, where that is another than its
            configuration's.

    Raises:
        ModelError: If it is of a kind that is not known and does not say what is needed, or
            says what cannot be.

    Example:
        >>> config = {
        ...     "model_type": "llava",
        ...     "text_config": {"model_type": "mistral", "max_position_embeddings": 4096},
        ...     "vision_config": {"image_size": 336, "patch_size": 14, "hidden_size": 1024},
        ... }
        >>> read_shape(config, name="mine").image_tokens
        576
    """
    config, said = from_published(config, name=name)
    parts = read_parts(config, name=name)
    text = read_text(parts.text, is_tied=parts.is_tied)
    encoder = TensorList(part="vision_encoder", prefix=parts.whole.vision_prefix)
    vision, count = _encoder(parts, encoder, image_px)
    if count.tokens < 1:
        raise ModelError(f"{parts.fields.where} leaves no token of an image of its own size.")
    language = TensorList(part="language_model", prefix=parts.whole.text_prefix)
    text_tensors(parts.text, text, language)
    return ModelShape(
        name=name,
        model_type=parts.fields.word("model_type"),
        vision=vision,
        text=text,
        image_tokens=count.tokens,
        tensors=(
            *encoder.tensors,
            *_connector(parts, vision, text),
            *language.tensors,
            *_output(parts, text),
        ),
        runs_only_in_transformers=runs_only_in_transformers(parts.fields, parts.vision, parts.text),
        remarks=(*said, *parts.remarks, *count.remarks),
    )


def _encoder(
    parts: Parts, found: TensorList, image_px: int | None
) -> tuple[VisionShape, ImageCount]:
    """Add the vision encoder's tensors, and count what one image becomes."""
    if parts.vision.word("model_type") == EFFICIENTNET:
        shape = efficientnet_shape(found)
        grid = Grid(side=isqrt(shape.tokens), image_px=shape.image_px, tokens=shape.tokens)
        return shape, parts.whole.tokens(parts.fields, grid)
    sizes = read_vision(parts.vision, image_px=image_px)
    vision_tensors(parts.vision, sizes, found)
    grid = Grid(side=sizes.side, image_px=sizes.image_px, tokens=sizes.side**2 + sizes.extra_tokens)
    count = parts.whole.tokens(parts.fields, grid)
    shape = vision_shape(
        sizes,
        found,
        layers=_layers_run(parts, sizes),
        tiles=count.tiles,
        seen=_seen(parts.vision, sizes),
    )
    return shape, count


def _layers_run(parts: Parts, sizes: VisionSizes) -> int:
    """Layers up to the hidden state that is read, the last of several."""
    told = parts.fields.get("vision_feature_layer", parts.whole.feature_layer)
    layers = told if isinstance(told, list | tuple) else [told]
    ends = [one if one >= 0 else sizes.layers + 1 + one for one in layers if isinstance(one, int)]
    last = max(ends, default=sizes.layers)
    if not 0 <= last <= sizes.layers:
        raise ModelError(
            f"{parts.fields.where} reads layer {told} of a vision encoder of {sizes.layers}."
        )
    return last


def _seen(vision: Fields, sizes: VisionSizes) -> float | None:
    """Patches that a patch of Qwen2.5-VL looks at, on the average of its layers."""
    full, window_px = vision.get("fullatt_block_indexes"), vision.get("window_size")
    if not isinstance(full, list | tuple) or not isinstance(window_px, int):
        return None
    all_patches = sizes.side**2
    window = min((window_px // sizes.patch_px) ** 2, all_patches)
    share = min(len(full) / sizes.layers, 1.0)
    return share * all_patches + (1 - share) * window


def _connector(parts: Parts, vision: VisionShape, text: TextShape) -> list[TensorShape]:
    found = TensorList(part="connector", prefix=parts.whole.connector_prefix)
    # Qwen2-VL's is a part of its vision encoder, and configured there.
    fields = parts.vision if parts.whole.has_flat_text else parts.fields
    parts.whole.connector(fields, vision.width, text.width, found)
    if parts.whole.has_newline:
        newline = TensorList(part="connector", tensors=found.tensors)
        newline.add("model.image_newline", (text.width,), "position")
    return found.tensors


def _output(parts: Parts, text: TextShape) -> list[TensorShape]:
    found = TensorList(part="language_model")
    if not text.is_tied:
        found.add("lm_head.weight", (text.vocabulary, text.width), "output")
    if parts.whole.has_head_bias:
        found.add("lm_head.bias", (text.vocabulary,), "bias")
    return found.tensors
