"""CLIP, SigLIP and DINOv2 inside published checkpoints: configuration, names, preprocessing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from tinymed.errors import ModelError
from tinymed.models.importers.layout import VISION, Source, TensorPlan, read_object
from tinymed.models.importers.placing import Make, place
from tinymed.models.importers.stored_tensors import StoredTensor

RESULT = "model.vision_tower."
"""Before the encoder's names in transformers' LLaVA."""

CLIP, SIGLIP, DINOV2 = "clip_vision_model", "siglip_vision_model", "dinov2"

_DEFAULTS: dict[str, dict[str, Any]] = {
    CLIP: {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "projection_dim": 512,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": 32,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
    },
    SIGLIP: {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": 16,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
        "vision_use_head": True,
    },
    DINOV2: {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "mlp_ratio": 4,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "image_size": 224,
        "patch_size": 14,
        "qkv_bias": True,
        "use_swiglu_ffn": False,
    },
}
"""What published configs leave out: the defaults of transformers 4.37 to 4.40."""

_SIGLIP_SO400M = (SIGLIP, 72, 384)
NOT_IN_SHAPES = {
    "openai/clip-vit-large-patch14": (CLIP, 64, 224),
    "openai/clip-vit-large-patch14-336": (CLIP, 64, 336),
    "google/siglip-so400m-patch14-384": _SIGLIP_SO400M,
    "bczhou/TinyLLaVA-1.5B-SigLIP": _SIGLIP_SO400M,
    "bczhou/TinyLLaVA-2.0B-SigLIP": _SIGLIP_SO400M,
    "bczhou/TinyLLaVA-3.1B-SigLIP": _SIGLIP_SO400M,
}
"""Kind, width of a head and size of images, by the exact name that a checkpoint gives its
encoder. The tensors do not tell them: 384 pixels hold 27 patches of 14, and 6 are left over."""

_DINOV2_NAMES = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
}
"""From transformers 5's names to the published ones."""
_DINOV2_CROP_PX = 224

_CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
_CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
_IMAGENET_MEAN = [0.485, 0.456, 0.406]
_IMAGENET_STD = [0.229, 0.224, 0.225]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionEncoder:
    """What a plan needs to know of a vision encoder."""

    config: dict[str, Any]
    """The `vision_config` of a transformers model."""
    prefix: str
    """What stands before the names that transformers 4 gave its tensors."""
    leftovers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its model_type in transformers."""
        return str(self.config["model_type"])

    @property
    def num_extra_tokens(self) -> int:
        """Tokens before the patches."""
        return 0 if self.kind == SIGLIP else 1

    @property
    def num_patches(self) -> int:
        """Patches of an image."""
        return int(self.config["image_size"] // self.config["patch_size"]) ** 2

    def tensor(self, name: str) -> TensorPlan:
        """Plan a tensor of the result."""
        below = name.removeprefix(RESULT)
        if self.kind != DINOV2:
            return place(name, self.prefix + below)
        module, _, last = below.rpartition(".")
        for new, old in _DINOV2_NAMES.items():
            if module.endswith(f".{new}"):
                return place(name, f"{self.prefix}{module.removesuffix(new)}{old}.{last}")
        if last == "position_embeddings":
            make = _resized_positions(self.config["image_size"] // self.config["patch_size"])
            return place(name, self.prefix + below, make=make)
        return place(name, self.prefix + below)


def vision_encoder(config: Mapping[str, Any], prefix: str) -> VisionEncoder:
    """The encoder of a published configuration, nothing left out.

    Raises:
        ModelError: If it is another encoder than CLIP, SigLIP or DINOv2.
    """
    kind = config.get("model_type")
    if kind not in _DEFAULTS:
        raise ModelError(
            f"Its vision encoder is '{kind}'; there is an importer for "
            f"{', '.join(sorted(_DEFAULTS))}."
        )
    values = {name: config.get(name, value) for name, value in _DEFAULTS[kind].items()}
    if kind == DINOV2:
        # Its positions are resized to what its preprocessing gives.
        values["image_size"] = _DINOV2_CROP_PX
    why = "a counter that older versions saved: 0, 1, 2 and so on"
    return VisionEncoder(
        config={"model_type": kind, **values},
        prefix=prefix,
        leftovers={f"{prefix}embeddings.position_ids": why},
    )


def own_or_stock_encoder(
    source: Source, stored: Mapping[str, StoredTensor], *, own: str, name: str
) -> VisionEncoder:
    """The encoder that the checkpoint carries, or else the stock one of `source.vision`.

    The checkpoint's own is taken wherever there is one, for it may have been trained; the
    published code of these layouts loads the stock one over it. A stock one that is given all
    the same tells the configuration, and nothing else of it is used. Sizes are what the tensors'
    shapes show.

    Args:
        source: Where the files lie.
        stored: Every tensor there is.
        own: What stands before the names of the checkpoint's own.
        name: What config.json calls the encoder.

    Raises:
        ModelError: If there is none, or nothing tells its configuration.
    """
    has_own = carries(stored, own)
    prefix = own if has_own else _stock_prefix(stored)
    if source.vision is not None:
        config = _stock_config(source.vision)
    elif has_own and name in NOT_IN_SHAPES:
        kind, _, size_px = NOT_IN_SHAPES[name]
        config = {"model_type": kind, "image_size": size_px}
    else:
        lacks = "does not tell the configuration of" if has_own else "does not carry"
        raise ModelError(
            f"The checkpoint {lacks} its vision encoder '{name}'. Name the folder of that "
            "encoder as well."
        )
    encoder = vision_encoder(config, prefix)
    sizes = _sizes(stored, encoder)
    if source.vision is None:
        sizes["num_attention_heads"] = sizes["hidden_size"] // NOT_IN_SHAPES[name][1]
    why = "of the stock encoder's folder, and no part of the encoder that is used"
    others = {
        tensor: why
        for tensor in stored
        if tensor.startswith(VISION) and not tensor.startswith(prefix)
    }
    return replace(
        encoder, config=encoder.config | sizes, leftovers=dict(encoder.leftovers) | others
    )


def carries(stored: Mapping[str, StoredTensor], own: str) -> bool:
    """Whether a checkpoint has a vision encoder of its own, by what stands before its names."""
    return any(name.startswith(own) for name in stored)


def num_layers(stored: Mapping[str, StoredTensor], prefix: str) -> int:
    """Layers of a CLIP or SigLIP encoder that are there."""
    count = 0
    while f"{prefix}encoder.layers.{count}.layer_norm1.weight" in stored:
        count += 1
    return count


def preprocessor(encoder: VisionEncoder, *, pads: bool) -> dict[str, Any]:
    """preprocessor_config.json.

    It is that of the encoder's kind: openai published its CLIP encoders with one, google its
    SigLIP encoders and facebook its DINOv2 encoders.

    Args:
        encoder: Whose images are prepared.
        pads: Whether an image is first padded to a square in the mean colour.
    """
    size = encoder.config["image_size"]
    square = {"height": size, "width": size}
    kind, settings = {
        CLIP: ("CLIP", _settings({"shortest_edge": size}, square, _CLIP_MEAN, _CLIP_STD)),
        SIGLIP: ("Siglip", _settings(square, None, [0.5] * 3, [0.5] * 3)),
        DINOV2: ("Bit", _settings({"shortest_edge": 256}, square, _IMAGENET_MEAN, _IMAGENET_STD)),
    }[encoder.kind]
    if not pads:
        return {"image_processor_type": f"{kind}ImageProcessorPil", **settings}
    return {"image_processor_type": "LlavaImageProcessorPil", "do_pad": True, **settings}


def _settings(
    size: Mapping[str, int],
    crop_size: Mapping[str, int] | None,
    mean: list[float],
    std: list[float],
) -> dict[str, Any]:
    return {
        "do_convert_rgb": True,
        "do_resize": True,
        "size": dict(size),
        "resample": 3,  # bicubic, in Pillow's numbers
        "do_center_crop": crop_size is not None,
        **({} if crop_size is None else {"crop_size": dict(crop_size)}),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
    }


def _stock_config(folder: Any) -> Mapping[str, Any]:
    config = read_object(folder / "config.json")
    # A folder of the whole model, with its text half, holds the encoder's config inside.
    kinds = {"clip": CLIP, "siglip": SIGLIP}
    inner, kind = config.get("vision_config"), config.get("model_type")
    if kind in kinds and isinstance(inner, dict):
        return inner | {"model_type": kinds[kind]}
    return config


def _stock_prefix(stored: Mapping[str, StoredTensor]) -> str:
    """Transformers 5 leaves out what the versions before it set before an encoder's names."""
    whole = f"{VISION}vision_model."
    return whole if carries(stored, whole) else VISION


def _sizes(stored: Mapping[str, StoredTensor], encoder: VisionEncoder) -> dict[str, int]:
    """What the tensors' shapes show of a CLIP or SigLIP encoder.

    Not the pixels that are left over at an image's edges: there the configuration holds.
    """

    def shape(tensor: str, num_axes: int) -> tuple[int, ...]:
        found = stored.get(encoder.prefix + tensor)
        if found is None or len(found.shape) != num_axes:
            raise ModelError(
                f"The vision encoder's '{encoder.prefix}{tensor}' is missing or misshapen."
            )
        return found.shape

    hidden_size, _channels, _height, patch_size = shape("embeddings.patch_embedding.weight", 4)
    num_positions, _width = shape("embeddings.position_embedding.weight", 2)
    side = math.isqrt(num_positions - encoder.num_extra_tokens)
    size_px = encoder.config["image_size"]
    return {
        "hidden_size": hidden_size,
        "intermediate_size": shape("encoder.layers.0.mlp.fc1.weight", 2)[0],
        "num_hidden_layers": num_layers(stored, encoder.prefix),
        "image_size": size_px if size_px // patch_size == side else side * patch_size,
        "patch_size": patch_size,
    }


def _resized_positions(side: int) -> Make:
    """DINOv2's positions for a grid of side x side, as the published code made them.

    It made them anew for each image, in transformers 4.40 by a scale that is a trifle too large;
    transformers 5 asks for the size itself and gets slightly other numbers.
    """

    def make(tensors: list[torch.Tensor]) -> torch.Tensor:
        (positions,) = tensors
        num_patches = positions.shape[1] - 1
        if num_patches == side**2:
            return positions
        old = math.isqrt(num_patches)
        grid = positions[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
        scale = (side + 0.1) / math.sqrt(num_patches)
        grid = torch.nn.functional.interpolate(
            grid.float(), scale_factor=(scale, scale), mode="bicubic", align_corners=False
        )
        rows = grid.to(positions.dtype).permute(0, 2, 3, 1).reshape(1, side**2, -1)
        return torch.cat([positions[:, :1], rows], dim=1)

    return make
