"""A vision encoder and a LLaVA connector as the second GGUF file of llama.cpp: the mmproj."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from gguf import GGUFWriter

from tinymed.engines.llamacpp.gguf_file import Tensor, write_gguf
from tinymed.engines.llamacpp.mixes import BASE, FILE_TYPES, Type, fitting
from tinymed.images.prepare import Preprocessing
from tinymed.models.language_gguf import Array
from tinymed.models.vit import VitConfig
from tinymed.models.weights import ModelWeights

LAYER_NAMES = {
    "ln1": "layer_norm1",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_out": "self_attn.out_proj",
    "ln2": "layer_norm2",
    "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
}


def why_not_stock(weights: ModelWeights) -> str | None:
    """Why a stock llama.cpp cannot read this model's images, in one sentence; None if it can."""
    if weights.vision_config is None or weights.connector_kind != "llava":
        return (
            "A stock llama.cpp runs the language model alone: it has no graph for "
            f"{weights.vision_encoder} with a gated connector, so only tinymed reads the images."
        )
    if weights.vision_config.has_class_token:
        # github.com/ggml-org/llama.cpp/pull/25844, open when b11549 was made: its graph puts the
        # class token last, reads positions and patches as if it stood first, and so shifts every
        # patch's position and loses the first patch.
        return (
            "A stock llama.cpp runs the language model alone: it misplaces the class token of "
            "CLIP encoders (its issue 25814), so only tinymed reads the images."
        )
    return None


def write_vision(
    weights: ModelWeights, path: Path, *, encoder_precision: str, connector_precision: str
) -> None:
    """Write the encoder and the connector.

    llama.cpp has one GELU, in the tanh form: a model with another one comes out near, not equal.

    Args:
        weights: Of a model of which `why_not_stock` says nothing.
        path: Where the file goes.
        encoder_precision: Of the encoder's matrices: "f32", "f16" or "q8_0".
        connector_precision: Of the connector's.
    """
    config = weights.vision_config
    assert config is not None

    def add_fields(writer: GGUFWriter) -> None:
        writer.add_type("mmproj")
        writer.add_name(weights.name)
        writer.add_quantized_by("tinymed")
        writer.add_file_type(FILE_TYPES[encoder_precision])
        writer.add_quantization_version(2)
        writer.add_bool("clip.has_vision_encoder", True)
        writer.add_string("clip.projector_type", "mlp")
        writer.add_bool("clip.use_gelu", config.activation != "quick_gelu")
        _add_shape(writer, config, weights.language_config.hidden_size)
        _add_preprocessing(writer, weights.preprocessing)

    tensors = _encoder_tensors(weights, config, BASE[encoder_precision])
    tensors += _connector_tensors(weights, BASE[connector_precision])
    write_gguf(path, "clip", add_fields, tensors)


def _add_shape(writer: GGUFWriter, config: VitConfig, projection: int) -> None:
    writer.add_vision_image_size(config.image_size_px)
    writer.add_vision_patch_size(config.patch_size_px)
    writer.add_vision_embedding_length(config.hidden_size)
    writer.add_vision_feed_forward_length(config.intermediate_size)
    writer.add_vision_projection_dim(projection)
    writer.add_vision_block_count(config.num_layers)
    writer.add_vision_head_count(config.num_heads)
    writer.add_vision_attention_layernorm_eps(config.layer_norm_eps)
    # Without this llama.cpp leaves out the last of the layers it is given.
    writer.add_array("clip.vision.feature_layer", [config.num_layers])


def _add_preprocessing(writer: GGUFWriter, preprocessing: Preprocessing) -> None:
    writer.add_vision_image_mean(preprocessing.mean)
    writer.add_vision_image_std(preprocessing.std)


def _encoder_tensors(weights: ModelWeights, config: VitConfig, kind: Type) -> list[Tensor]:
    hidden, wide, patch = config.hidden_size, config.intermediate_size, config.patch_size_px
    vectors = {"ln1": hidden, "ln2": hidden, "ffn_up": wide}
    tensors = [
        # A convolution: its rows are as wide as a patch, which no block divides.
        _tensor(
            weights.vision,
            "v.patch_embd.weight",
            "embeddings.patch_embedding.weight",
            (hidden, 3, patch, patch),
            Type.F32 if kind == Type.F32 else Type.F16,
        ),
        _tensor(
            weights.vision,
            "v.position_embd.weight",
            "embeddings.position_embedding.weight",
            (config.grid**2 + config.has_class_token, hidden),
            Type.F32,
        ),
    ]
    if config.has_class_token:
        name = "embeddings.class_embedding"
        tensors.append(_tensor(weights.vision, "v.class_embd", name, (hidden,), Type.F32))
    if config.kind == "siglip":
        name = "embeddings.patch_embedding.bias"
        tensors.append(_tensor(weights.vision, "v.patch_embd.bias", name, (hidden,), Type.F32))
    if config.has_pre_norm:
        tensors += [
            _tensor(weights.vision, f"v.pre_ln.{k}", f"pre_layrnorm.{k}", (hidden,), Type.F32)
            for k in ("weight", "bias")
        ]
    for layer in range(config.num_layers):
        for name, ours in LAYER_NAMES.items():
            rows = vectors.get(name, hidden)
            width = wide if name == "ffn_down" else hidden
            is_norm = name.startswith("ln")
            target, source = f"v.blk.{layer}.{name}", f"encoder.layers.{layer}.{ours}"
            shape = (rows,) if is_norm else (rows, width)
            stored_as = Type.F32 if is_norm else fitting(kind, width)
            tensors += [
                _tensor(weights.vision, f"{target}.weight", f"{source}.weight", shape, stored_as),
                _tensor(weights.vision, f"{target}.bias", f"{source}.bias", (rows,), Type.F32),
            ]
    return tensors


def _connector_tensors(weights: ModelWeights, kind: Type) -> list[Tensor]:
    tensors = []
    for name, ours in (("mm.0", "linear_1"), ("mm.2", "linear_2")):
        for part in ("weight", "bias"):
            source = f"{ours}.{part}"
            shape = weights.connector[source].shape
            stored_as = Type.F32 if part == "bias" else fitting(kind, shape[-1])
            tensors.append(_tensor(weights.connector, f"{name}.{part}", source, shape, stored_as))
    return tensors


def _tensor(
    source: Mapping[str, Array], name: str, ours: str, shape: tuple[int, ...], stored_as: Type
) -> Tensor:
    return Tensor(
        name=name, shape=shape, stored_as=stored_as, read=partial(source.__getitem__, ours)
    )
