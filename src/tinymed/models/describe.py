"""What a model is made of and whether its parts are here, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tinymed.models.build import Build
from tinymed.models.cache import is_verified, part_path
from tinymed.models.catalog import SHIPPED, Checkpoint, find, split_address
from tinymed.models.llava_checkpoint import unreadable_because
from tinymed.models.manifest import Manifest
from tinymed.models.parity_mark import read_parity


def describe_models() -> list[dict[str, Any]]:
    """Each shipped model's name, description and whether it is complete here."""
    rows = map(describe_model, SHIPPED)
    return [{name: row[name] for name in ("name", "description", "complete")} for row in rows]


def describe_model(address: str) -> dict[str, Any]:
    """What a model is made of: one of ours, a checkpoint or a build.

    Raises:
        ModelError: If no model has this name, or the folder holds none.
    """
    base, _ = split_address(address)
    found = find(base)
    if isinstance(found, Build):
        return _describe_build(found)
    if isinstance(found, Checkpoint):
        return _describe_checkpoint(found)
    return _describe_own(found)


def _describe_own(manifest: Manifest) -> dict[str, Any]:
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


def _describe_build(build: Build) -> dict[str, Any]:
    report = read_parity(build)
    verdict = "never compared"
    if report is not None:
        verdict = "passed" if report.get("passed") is True else "failed"
    return {
        "name": build.name,
        "description": build.description,
        "num_bytes": build.num_bytes,
        "digest": build.digest,
        "parity": verdict,
        "prompt": build.template.in_words(),
        "num_image_tokens": build.num_image_tokens,
        "size_px": build.preprocessing.size_px,
        "parts": [{"role": part.name, **asdict(part), "bits": part.bits} for part in build.parts],
    }


def _describe_checkpoint(found: Checkpoint) -> dict[str, Any]:
    reason = unreadable_because(found.folder)
    files = sorted(path for path in found.folder.iterdir() if path.is_file())
    return {
        "name": found.name,
        "description": "a checkpoint in the layout of plain transformers",
        "folder": str(found.folder),
        "runs_in": "every engine" if reason is None else f"transformers only: {reason}",
        "num_bytes": sum(path.stat().st_size for path in files),
        "parts": [{"role": path.name, "num_bytes": path.stat().st_size} for path in files],
    }
