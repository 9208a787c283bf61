"""The shape of a model of our own, from its manifest alone: none of its parts need be here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.manifest import Manifest, read_manifest
from tinymed.models.parts import LANGUAGE_MODELS
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape

_LANGUAGES: dict[str, dict[str, Any]] = {
    "smollm2-135m-instruct": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
}
"""What the files of `parts.LANGUAGE_MODELS` hold, by the same names."""

_ENCODERS: dict[str, dict[str, Any]] = {
    "efficientnet-lite2": {"model_type": "efficientnet_lite2"},
    "dinov2-small": {
        "model_type": "dinov2",
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "image_size": 518,
        "patch_size": 14,
    },
}
"""What the files of `parts.VISION_ENCODERS` hold, by the same names."""


def read_own_shape(folder: Path, *, name: str) -> ModelShape:
    """The shape of what `tinymed train` wrote, or of a model that tinymed ships.

    Raises:
        ModelError: If the manifest cannot be read or names a part that is not known.
    """
    manifest = read_manifest(folder / "manifest.json")
    # DINOv2's positions are there for larger images than it is given.
    shape = read_shape(_config(manifest), name=name, image_px=manifest.preprocessing.size_px)
    # Our images are one tile, and our engines build what is counted here.
    remark = "An adapter is counted as added into the language model."
    trained = folder / manifest.trained_file
    parts_bytes = sum(part.num_bytes for part in manifest.parts)
    return replace(
        shape,
        runs_only_in_transformers="",
        source_bytes=parts_bytes + (trained.stat().st_size if trained.is_file() else 0),
        fetched_bytes=sum(part.wheel_bytes for part in manifest.parts),
        remarks=(remark,),
    )


def _config(manifest: Manifest) -> dict[str, Any]:
    """As `models.checkpoint` would write it."""
    language = _LANGUAGES.get(_language_name(manifest))
    encoder = _ENCODERS.get(manifest.vision_encoder)
    if language is None or encoder is None:
        raise ModelError(
            f"The manifest of '{manifest.name}' names a part whose shape is not known: update "
            "tinymed."
        )
    return {
        "model_type": "aya_vision",
        "downsample_factor": manifest.fold,
        "alignment_intermediate_size": 2 * language["hidden_size"],
        "tie_word_embeddings": language["tie_word_embeddings"],
        "vision_config": encoder,
        "text_config": language,
    }


def _language_name(manifest: Manifest) -> str:
    sha256 = manifest.part("language_model").sha256
    return next((name for name, part in LANGUAGE_MODELS.items() if part.sha256 == sha256), "")
