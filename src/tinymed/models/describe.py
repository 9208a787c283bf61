"""What a model is made of and whether its parts are here, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tinymed.models.cache import is_verified, part_path
from tinymed.models.catalog import SHIPPED, find_model


def describe_models() -> list[dict[str, Any]]:
    """Each shipped model's name, description and whether it is complete here."""
    rows = map(describe_model, SHIPPED)
    return [{name: row[name] for name in ("name", "description", "complete")} for row in rows]


def describe_model(name: str) -> dict[str, Any]:
    """A model's manifest, with where each part lies and whether it is there.

    Raises:
        ModelError: If no model has this name.
    """
    manifest = find_model(name)
    parts = [
        asdict(part) | {"path": str(part_path(part)), "present": is_verified(part)}
        for part in manifest.parts
    ]
    return {
        "name": manifest.name,
        "description": manifest.description,
        "complete": all(part["present"] for part in parts),
        "trained_file": str(manifest.folder / manifest.trained_file),
        "num_image_tokens": manifest.num_image_tokens,
        "size_px": manifest.preprocessing.size_px,
        "parts": parts,
    }
