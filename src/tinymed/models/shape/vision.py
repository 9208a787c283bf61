"""The tensors of a vision encoder, and what one image costs it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tinymed.errors import ModelError
from tinymed.models.shape.fields import Fields
from tinymed.models.shape.shape import VisionShape
from tinymed.models.shape.tensor_list import TensorList
from tinymed.models.shape.vision_families import VISION_FAMILIES, Bias, VisionFamily

_SWIGLU = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
_SWIGLU_MULTIPLE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSizes:
    """The sizes of a vision transformer."""

    model_type: str
    width: int
    middle: int
    heads: int
    layers: int
    """That there are."""
    image_px: int
    patch_px: int
    channels: int

    @property
    def family(self) -> VisionFamily:
        """How it names its tensors; as CLIP does where it is not known."""
        return vision_family(self.model_type)

    @property
    def side(self) -> int:
        """Patches along one side of an image."""
        return self.image_px // self.patch_px

    @property
    def extra_tokens(self) -> int:
        """Before the patches."""
        return 1 if self.family.class_token else 0


def vision_family(model_type: str) -> VisionFamily:
    """How a vision transformer names its tensors; as CLIP does where it is not known."""
    return VISION_FAMILIES.get(model_type, VISION_FAMILIES["clip_vision_model"])


def read_vision(fields: Fields, *, image_px: int | None = None) -> VisionSizes:
    """The sizes of a vision transformer.

    Args:
        fields: Its configuration.
        image_px: Side of its images, where that is another than its configuration's.

    Raises:
        ModelError: If one is missing or no size.
    """
    kind = fields.word("model_type")
    # Qwen2-VL's hidden_size is the language model's width.
    width = fields.number("embed_dim" if kind == "qwen2_vl_vision" else "hidden_size")
    sizes = VisionSizes(
        model_type=kind,
        width=width,
        middle=_middle(fields, width),
        heads=fields.number("num_attention_heads"),
        layers=fields.number("num_hidden_layers"),
        image_px=image_px or fields.number("image_size"),
        patch_px=fields.number("patch_size"),
        channels=fields.number("num_channels", 3),
    )
    if sizes.side < 1:
        raise ModelError(
            f"{fields.where} has patches of {sizes.patch_px} pixels in images of {sizes.image_px}."
        )
    return sizes


def vision_tensors(fields: Fields, sizes: VisionSizes, found: TensorList) -> None:
    """Add every tensor of a vision transformer."""
    family = sizes.family
    _embeddings(fields, sizes, found)
    if family.first_norm:
        found.norm(family.first_norm, sizes.width, bias=family.norm_bias)
    for index in range(sizes.layers):
        _layer(fields, sizes, found.under(f"{family.layers}{index}."))
    if family.last_norm and not fields.flag("use_mean_pooling"):
        found.norm(family.last_norm, sizes.width, bias=family.norm_bias)
    if family.head == "siglip" and fields.flag("vision_use_head"):
        _siglip_head(sizes, found.under("head."))
    if family.head == "vit":
        found.linear("pooler.dense", sizes.width, sizes.width, bias=True)


def vision_shape(
    sizes: VisionSizes, found: TensorList, *, layers: int, tiles: int, seen: float | None = None
) -> VisionShape:
    """What decides how long a vision transformer takes.

    Args:
        sizes: Its sizes.
        found: Its tensors.
        layers: That run.
        tiles: That one image is cut into.
        seen: Tokens that a token looks at, on the average of the layers; None is all.
    """
    family = sizes.family
    tokens = sizes.side**2 + sizes.extra_tokens
    one_layer = f"{family.layers}0."
    weights = sum(
        one.num_weights
        for one in found.tensors
        if one.kind == "matrix" and one.name.removeprefix(found.prefix).startswith(one_layer)
    )
    patch = sizes.channels * sizes.patch_px**2 * sizes.width
    # Queries with keys, and shares with values: twice a multiplication and an addition.
    attention = 4.0 * tokens * (tokens if seen is None else seen) * sizes.width
    one_tile = layers * (2.0 * tokens * weights + attention) + 2.0 * sizes.side**2 * patch
    return VisionShape(
        encoder=sizes.model_type.removesuffix("_model").removesuffix("_vision"),
        image_px=sizes.image_px,
        patch_px=sizes.patch_px,
        width=sizes.width,
        middle=sizes.middle,
        heads=sizes.heads,
        layers=layers,
        tokens=tokens,
        tiles=tiles,
        num_operations=tiles * one_tile,
    )


def _middle(fields: Fields, width: int) -> int:
    """Width of the feed-forward layers: DINOv2 and Qwen2-VL say a multiple of the layer's."""
    if "mlp_ratio" not in fields.defaults:
        return fields.number("intermediate_size")
    middle = max(int(width * fields.ratio("mlp_ratio", 1)), 1)
    if not fields.flag("use_swiglu_ffn"):
        return middle
    return -(-int(middle * 2 / 3) // _SWIGLU_MULTIPLE) * _SWIGLU_MULTIPLE


def _embeddings(fields: Fields, sizes: VisionSizes, found: TensorList) -> None:
    family, side = sizes.family, sizes.patch_px
    kernel: tuple[int, ...] = (sizes.channels, side, side)
    if family.patch_kind == "flat":
        kernel = (prod(kernel),)
    elif family.patch_kind == "frames":
        kernel = (sizes.channels, fields.number("temporal_patch_size", 2), side, side)
    found.patches(family.patches, sizes.width, kernel, bias=family.patch_bias)
    batch = (1,) if family.has_batch_axis else ()
    if family.class_token:
        found.add(family.class_token, (*batch, *batch, sizes.width), "position")
    if fields.flag("use_mask_token"):
        shape = (1, sizes.width) if sizes.model_type == "dinov2" else (1, 1, sizes.width)
        found.add("embeddings.mask_token", shape, "position")
    if family.positions and fields.flag("use_absolute_position_embeddings", other=True):
        patches = (fields.number("image_size") // side) ** 2
        rows = fields.number("num_patches", patches) + sizes.extra_tokens
        found.add(family.positions, (*batch, rows, sizes.width), "position")


def _layer(fields: Fields, sizes: VisionSizes, layer: TensorList) -> None:
    family, width = sizes.family, sizes.width
    rows = width * 3 // len(family.query_key_value)
    for name in family.query_key_value:
        layer.linear(name, rows, width, bias=_has(fields, family.query_bias))
    layer.linear(family.output, width, width, bias=family.output_bias)
    if fields.flag("use_qk_norm"):
        for name in ("attention.q_norm", "attention.k_norm"):
            layer.norm(name, width, bias=False)
    for name in family.norms:
        layer.norm(name, width, bias=family.norm_bias and fields.get("norm_type") != "rms_norm")
    for name in family.scales:
        layer.add(name, (width,), "norm")
    *wide, narrow = _SWIGLU if fields.flag("use_swiglu_ffn") else family.feed_forward
    for name in wide:
        layer.linear(name, sizes.middle, width, bias=family.feed_forward_bias)
    layer.linear(narrow, width, sizes.middle, bias=family.feed_forward_bias)


def _siglip_head(sizes: VisionSizes, found: TensorList) -> None:
    width = sizes.width
    found.add("probe", (1, 1, width), "position")
    found.add("attention.in_proj_weight", (3 * width, width), "matrix")
    found.add("attention.in_proj_bias", (3 * width,), "bias")
    found.linear("attention.out_proj", width, width, bias=True)
    found.norm("layernorm", width, bias=True)
    found.linear("mlp.fc1", sizes.middle, width, bias=True)
    found.linear("mlp.fc2", width, sizes.middle, bias=True)


def _has(fields: Fields, bias: Bias) -> bool:
    return fields.flag(bias) if isinstance(bias, str) else bias
