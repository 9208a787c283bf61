"""The tensors between a vision encoder and a language model."""

from __future__ import annotations

from collections.abc import Callable

from tinymed.models.shape.fields import Fields
from tinymed.models.shape.tensor_list import TensorList

ConnectorTensors = Callable[[Fields, int, int, TensorList], None]
"""Adds them: of the whole's configuration, the encoder's width and the language model's."""


def llava_connector(fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """Two linear layers; several of the encoder's layers may be read side by side."""
    has_bias = fields.flag("multimodal_projector_bias", other=True)
    layers = fields.get("vision_feature_layer")
    wide = vision * (len(layers) if isinstance(layers, list | tuple) else 1)
    found.linear("linear_1", text, wide, bias=has_bias)
    found.linear("linear_2", text, text, bias=has_bias)


def aya_connector(fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """Patches folded, normed, projected; half of the first layer gates the other half."""
    wide = vision * fields.number("downsample_factor", 2) ** 2
    middle = fields.number("alignment_intermediate_size", text)
    found.norm("layernorm", wide, bias=True)
    found.linear("linear_1", middle, wide, bias=True)
    found.linear("linear_2", text, middle // 2, bias=True)


def internvl_connector(fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """Patches folded, normed, two linear layers."""
    wide = vision * internvl_fold(fields) ** 2
    found.norm("layer_norm", wide, bias=True)
    found.linear("linear_1", text, wide, bias=True)
    found.linear("linear_2", text, text, bias=True)


def internvl_fold(fields: Fields) -> int:
    """Patches along one side that become one token."""
    return max(int(1 / fields.ratio("downsample_ratio", 0.5)), 1)


def idefics_connector(fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """Patches folded, one linear layer."""
    wide = vision * fields.number("scale_factor", 2) ** 2
    found.linear("modality_projection.proj", text, wide, bias=False)


def paligemma_connector(fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """One linear layer."""
    found.linear("linear", fields.number("projection_dim", text), vision, bias=True)


def gemma3_connector(_fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """Patches averaged, normed, one matrix that is no layer of its own."""
    found.norm("mm_soft_emb_norm", vision, bias=False)
    found.add("mm_input_projection_weight", (vision, text), "matrix")


def mistral3_connector(fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """Patches normed and merged, two linear layers."""
    has_bias = fields.flag("multimodal_projector_bias")
    found.norm("norm", vision, bias=False)
    wide = vision * fields.number("spatial_merge_size", 2) ** 2
    found.linear("patch_merger.merging_layer", vision, wide, bias=False)
    found.linear("linear_1", text, vision, bias=has_bias)
    found.linear("linear_2", text, text, bias=has_bias)


def qwen_connector(fields: Fields, vision: int, text: int, found: TensorList) -> None:
    """Patches normed and merged, two linear layers; `fields` are the vision encoder's."""
    is_older = fields.word("model_type") == "qwen2_vl_vision"
    wide = vision * fields.number("spatial_merge_size", 2) ** 2
    # Qwen2.5-VL has norms without a bias throughout.
    found.norm("ln_q", vision, bias=is_older)
    found.linear("mlp.0", wide, wide, bias=True)
    rows = fields.number("hidden_size" if is_older else "out_hidden_size", text)
    found.linear("mlp.2", rows, wide, bias=True)
