"""Points that the slow model plays, and the command that has it play them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import slow_model
from PIL import Image
from slow_model import DIGEST, Script

from tinymed.models.schemes import find_scheme
from tinymed.profile.run.target import Target


def child_command(journal: Path, *scripts: Script) -> tuple[str, ...]:
    """What to put in the place of `process.CHILD`."""
    rows = json.dumps([asdict(script) for script in scripts])
    return (sys.executable, str(slow_model.__file__), str(journal), rows)


def tiny_target(scheme: str = "openvino-int8", **fields: Any) -> Target:
    """A point that the slow model can play."""
    made = {
        "model": "tiny",
        "scheme": find_scheme(scheme),
        "address": "tiny",
        "build": Path("nowhere"),
        "weights_sha256": DIGEST,
        "disk_bytes": 2 * 2**20,
        "stored_bytes": 2**20,
        "precisions": {},
        "parity": "passed",
    }
    return Target(**(made | fields))


def grey_image(folder: Path) -> Path:
    """A picture of 64 rows that all differ."""
    path = folder / "grey.png"
    Image.fromarray((np.arange(64 * 64) % 251).astype(np.uint8).reshape(64, 64)).save(path)
    return path
