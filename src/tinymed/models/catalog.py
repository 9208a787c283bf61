"""The models tinymed ships, by exact name."""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models.manifest import Manifest, read_manifest

SHIPPED = ("nano",)
"""Each is a folder `shipped/NAME` with a `manifest.json`."""

DEFAULT_MODEL = "nano"

_SHIPPED_FOLDER = Path(__file__).parent / "shipped"


def find_model(name: str) -> Manifest:
    """Look a model's manifest up by the model's exact name, or by its folder.

    A folder is one that `tinymed train` wrote; it must be given with a slash ("runs/a/model",
    "./model"), so that no folder can stand in for a shipped name.

    Raises:
        ModelError: If no shipped model has this name, or the folder holds none.

    Example:
        >>> find_model("nano").name
        'nano'
        >>> find_model("nanoo")
        Traceback (most recent call last):
        tinymed.errors.ModelError: No model 'nanoo'. Did you mean 'nano'? Known: nano.
    """
    if "/" in name or os.sep in name:
        return replace(read_manifest(Path(name) / "manifest.json"), address=name)
    if name not in SHIPPED:
        near = difflib.get_close_matches(name, SHIPPED, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(f"No model '{name}'.{hint} Known: {', '.join(sorted(SHIPPED))}.")
    return replace(read_manifest(_SHIPPED_FOLDER / name / "manifest.json"), address=name)
