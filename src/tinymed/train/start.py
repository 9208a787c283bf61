"""Starting a run: what it needs, checked before torch loads."""

from __future__ import annotations

from pathlib import Path

from tinymed.extras import require
from tinymed.models.fetch import fetch_parts
from tinymed.models.parts import untrained
from tinymed.train.config import TrainConfig


def train_by_recipe(
    config: TrainConfig, folder: Path, *, features_folder: Path, resume: bool
) -> Path:
    """Train by a recipe; return the folder of the trained model.

    Raises:
        UserError: If a package, a part of the model or a sample file is missing.
    """
    for package in ("torch", "transformers", "onnx"):
        require(package, extra="torch", for_what="Training")
    manifest = untrained(
        config.name,
        encoder=config.vision_encoder,
        language=config.language_model,
        description=config.description,
        fold=config.fold,
    )
    files = fetch_parts(manifest)
    from tinymed.train.run import Parts, train

    parts = Parts(
        manifest=manifest,
        language_gguf=files["language_model"],
        vision_file=files["vision_encoder"],
    )
    return train(config, parts, folder, features_folder=features_folder, resume=resume)
