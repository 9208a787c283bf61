"""A model as plain transformers runs it: config and state of an AyaVision or LLaVA layout.

AyaVisionForConditionalGeneration is the layout in transformers that folds patches, norms
them and projects them, around any vision encoder and any language model that transformers
knows. With DINOv2, `from_pretrained` needs no code of ours; with EfficientNet-Lite2 it needs
the tower that `tinymed.models.efficientnet_tower` registers. Both layouts name their parts
alike: `model.vision_tower`, `model.multi_modal_projector`, `model.language_model`, `lm_head`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    CLIPVisionConfig,
    Dinov2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PretrainedConfig,
    Qwen2Config,
    SiglipVisionConfig,
)

from tinymed.errors import ModelError
from tinymed.models.efficientnet_lite import read_efficientnet
from tinymed.models.efficientnet_tower import EfficientNetLiteConfig, tower_state
from tinymed.models.language_gguf import Array, LanguageConfig
from tinymed.models.vision_onnx import vision_tensors
from tinymed.models.vit import VitConfig

if TYPE_CHECKING:
    from tinymed.models.weights import ModelWeights

CONTEXT_TOKENS = 8192

ModelConfig = AyaVisionConfig | LlavaConfig
Model = AyaVisionForConditionalGeneration | LlavaForConditionalGeneration

_CLASSES: dict[str, tuple[type[Any], type[Any]]] = {
    "aya_vision": (AyaVisionConfig, AyaVisionForConditionalGeneration),
    "llava": (LlavaConfig, LlavaForConditionalGeneration),
}
_HIDDEN_ACTS = {"quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh"}


def dinov2_config() -> Dinov2Config:
    """The configuration of DINOv2-small, as transformers writes it."""
    return Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        image_size=518,
        patch_size=14,
        layer_norm_eps=1e-6,
    )


def llama_config(config: LanguageConfig) -> LlamaConfig:
    """A Llama configuration, as transformers writes it."""
    return LlamaConfig(**_text_fields(config))


def checkpoint_config(
    vision: PretrainedConfig, text: PretrainedConfig, *, fold: int, image_id: int
) -> AyaVisionConfig:
    """The whole model's configuration: the encoder's last hidden state, folded."""
    has_class_token = isinstance(vision, Dinov2Config)
    # The projector reads alignment_intermediate_size; the config takes and saves it undeclared.
    return AyaVisionConfig(  # type: ignore[call-arg]
        vision_config=vision,
        text_config=text,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default" if has_class_token else "full",
        downsample_factor=fold,
        alignment_intermediate_size=2 * text.hidden_size,
        image_token_index=image_id,
        tie_word_embeddings=text.tie_word_embeddings,
    )


def vision_config(name: str) -> PretrainedConfig:
    """The configuration of a vision encoder of `tinymed.models.parts`."""
    return dinov2_config() if name == "dinov2-small" else EfficientNetLiteConfig()


def vision_state(name: str, path: Path) -> dict[str, Tensor]:
    """A vision encoder's weights from its part's file, under transformers' names."""
    arrays = (
        vision_tensors(path) if name == "dinov2-small" else tower_state(read_efficientnet(path))
    )
    return {name: as_tensor(np.asarray(values)) for name, values in arrays.items()}


def model_config(weights: ModelWeights, *, image_id: int) -> ModelConfig:
    """The configuration of a model, whatever it came from.

    Args:
        weights: The model.
        image_id: The token that stands where image tokens go.
    """
    text = _text_config(weights.language_config)
    if weights.connector_kind == "aya-vision":
        vision = vision_config(weights.vision_encoder)
        return checkpoint_config(vision, text, fold=weights.fold, image_id=image_id)
    vit = weights.vision_config
    assert vit is not None, "a LLaVA layout has a CLIP or SigLIP encoder"
    return LlavaConfig(
        vision_config=_vit_config(vit),
        text_config=text,
        image_token_index=image_id,
        projector_hidden_act=_HIDDEN_ACTS[weights.connector_activation],
        vision_feature_select_strategy="default" if vit.has_class_token else "full",
        vision_feature_layer=-1,
        image_seq_length=weights.num_image_tokens,
        tie_word_embeddings=weights.language_config.tied,
    )


def config_from_row(row: dict[str, Any]) -> ModelConfig:
    """Read back what a configuration's `to_dict` wrote.

    Raises:
        ModelError: If it is neither of the two layouts.
    """
    try:
        config_class, _ = _CLASSES[row["model_type"]]
        config: ModelConfig = config_class.from_dict(row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"A model's configuration does not fit: {error!r}.") from error
    return config


def empty_model(config: ModelConfig) -> Model:
    """The model's modules; parameters have a shape and take no memory before they are placed."""
    with _parameters_without_memory():
        model: Model = _CLASSES[config.model_type][1](config)
    model.train(mode=False)
    if config.model_type == "llava":
        # Never run: LLaVA takes a hidden state from before the encoder's last norm.
        model.model.vision_tower.post_layernorm = nn.Identity()
    return model


def tensor_readers(weights: ModelWeights, model: Model) -> dict[str, Callable[[], Array]]:
    """How to read every tensor that a model runs on, by its name in the layout.

    Nothing is read before a reader is called. A tied output layer has no tensor of its own.
    What a checkpoint holds of a CLIP or SigLIP encoder beyond the layers that are run is left
    out.

    Raises:
        ModelError: If a tensor is missing or has no place. A reader: if its tensor has
            another shape than its place.
    """
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    found = _readers(weights)
    strange = [
        name
        for name in found
        # Of our own encoders' files every tensor has a place.
        if name not in shapes and not (weights.vision_file is None and _is_vision(name))
    ]
    missing = [name for name in shapes if name not in found]
    if missing or strange:
        raise ModelError(
            f"{len(missing)} tensors of '{weights.name}' are missing (first: {missing[:3]}) and "
            f"{len(strange)} have no place (first: {strange[:3]})."
        )
    return {name: partial(_read, name, shape, found[name]) for name, shape in shapes.items()}


def place(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Give one parameter of a model its value."""
    folder, _, own = name.rpartition(".")
    setattr(model.get_submodule(folder), own, nn.Parameter(tensor, requires_grad=False))


def as_tensor(values: Array) -> Tensor:
    """An array as a tensor: the same memory where it may be written to, else a copy."""
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def check_whole(model: Model) -> None:
    """Tie what is tied and make sure that every parameter has a value.

    Raises:
        ModelError: If one has none, with its name.
    """
    model.tie_weights()
    missing = [name for name, value in model.named_parameters() if value.is_meta]
    if missing:
        raise ModelError(f"{len(missing)} tensors of the model are missing (first: {missing[:3]}).")


def assemble(weights: ModelWeights, *, image_id: int, dtype: torch.dtype = torch.float32) -> Model:
    """The model in float32 or bfloat16; every parameter is given a value, or the load fails.

    Raises:
        ModelError: If a tensor is missing, has no place or another shape.
    """
    model = empty_model(model_config(weights, image_id=image_id))
    for name, read in tensor_readers(weights, model).items():
        place(model, name, as_tensor(read()).to(dtype))
    check_whole(model)
    return model


def _readers(weights: ModelWeights) -> dict[str, Callable[[], Array]]:
    readers: dict[str, Callable[[], Array]] = {}
    if weights.vision_file is not None:
        for name, tensor in vision_state(weights.vision_encoder, weights.vision_file).items():
            readers[f"model.vision_tower.{name}"] = tensor.numpy
    else:
        for name in weights.vision:
            readers[f"model.vision_tower.{name}"] = partial(weights.vision.__getitem__, name)
    for name in weights.connector:
        own = f"model.multi_modal_projector.{name}"
        readers[own] = partial(weights.connector.__getitem__, name)
    for name in weights.language:
        is_head = name.startswith("lm_head.")
        own = name if is_head else f"model.language_model.{name}"
        if not (is_head and weights.language_config.tied):
            readers[own] = partial(weights.language.__getitem__, name)
    return readers


def _is_vision(name: str) -> bool:
    return name.startswith("model.vision_tower.")


def _read(name: str, shape: tuple[int, ...], read: Callable[[], Array]) -> Array:
    values = read()
    if values.shape != shape:
        raise ModelError(
            f"The tensor '{name}' has the shape {list(values.shape)}; its place has {list(shape)}."
        )
    return values


def _text_config(config: LanguageConfig) -> PretrainedConfig:
    # Llama's own attention_bias would give the output of the attention a bias too.
    return Qwen2Config(**_text_fields(config)) if config.attention_bias else llama_config(config)


def _text_fields(config: LanguageConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": config.tied,
        "max_position_embeddings": CONTEXT_TOKENS,
    }


def _vit_config(config: VitConfig) -> PretrainedConfig:
    fields: dict[str, Any] = {
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        # Those that are run: the last of them is the one LLaVA takes.
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "image_size": config.image_size_px,
        "patch_size": config.patch_size_px,
        "layer_norm_eps": config.layer_norm_eps,
        "hidden_act": _HIDDEN_ACTS[config.activation],
    }
    if config.kind == "clip":
        return CLIPVisionConfig(**fields)
    return SiglipVisionConfig(vision_use_head=False, **fields)


@contextmanager
def _parameters_without_memory() -> Iterator[None]:
    """Modules made in here get their parameters' shapes alone; buffers are real.

    `torch.device("meta")` would leave the buffers without values too, such as the angles of
    rotations, and no file holds those.
    """
    register = nn.Module.register_parameter

    def register_shape(module: nn.Module, name: str, value: nn.Parameter | None) -> None:
        if value is not None and not value.is_meta:
            value = nn.Parameter(value.to("meta"), requires_grad=False)
        register(module, name, value)

    nn.Module.register_parameter = register_shape  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
