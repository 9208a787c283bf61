"""The models on this computer, by exact name or by folder.

An address is `NAME` or `FOLDER`, and behind a colon the scheme it is to run in:
"nano", "nano:gguf-q8_0", "runs/a/model:openvino-f32", or the folder of a build.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models.build import Build, is_build, read_build
from tinymed.models.installed import installed_folder, installed_models
from tinymed.models.llava_checkpoint import checkpoint_digest, is_checkpoint, read_llava
from tinymed.models.manifest import Manifest, read_manifest
from tinymed.models.schemes import SCHEMES, Scheme, find_scheme
from tinymed.models.weights import ModelWeights, load_weights, weights_digest

SHIPPED = ("nano",)
"""Each is a folder `shipped/NAME` with a `manifest.json`."""

DEFAULT_MODEL = "nano"

_SHIPPED_FOLDER = Path(__file__).parent / "shipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model in the layout of plain transformers."""

    name: str
    folder: Path
    address: str


Source = Manifest | Checkpoint
"""What builds are made from."""


def split_address(address: str) -> tuple[str, Scheme | None]:
    """A model's name or folder, and the scheme behind its last colon, if there is one.

    Raises:
        ConfigError: If what stands behind the colon of a name is no scheme.

    Example:
        >>> name, scheme = split_address("nano:nf4")
        >>> name, scheme.name
        ('nano', 'nf4')
        >>> split_address("runs/a:b/model")
        ('runs/a:b/model', None)
    """
    base, colon, last = address.rpartition(":")
    if not colon or "/" in last or os.sep in last:
        return address, None
    if last not in SCHEMES and _is_folder(base):
        return address, None
    return base, find_scheme(last)


def find_model(name: str) -> Manifest:
    """Look the manifest of one of our own models up: by its exact name, or by its folder.

    A folder is one that `tinymed train` wrote; it must be given with a slash ("runs/a/model",
    "./model"), so that no folder can stand in for a shipped name.

    Raises:
        ModelError: If no model has this name, or the folder holds none.

    Example:
        >>> find_model("nano").name
        'nano'
        >>> find_model("nanoo")
        Traceback (most recent call last):
        tinymed.errors.ModelError: No model 'nanoo'. Did you mean 'nano'? Known: nano.
    """
    return replace(read_manifest(_folder_of(name) / "manifest.json"), address=name)


def find_source(address: str) -> Source:
    """Look up what builds are made from: one of our own models, or a checkpoint.

    Raises:
        ModelError: If no model has this name, or the folder holds none.
    """
    found = find(address)
    if isinstance(found, Build):
        raise ModelError(f"'{address}' is a build already. Name the model that it was made from.")
    return found


def find(address: str) -> Manifest | Checkpoint | Build:
    """Look up whatever a model's name or folder means; the address carries no scheme.

    Raises:
        ModelError: If no model has this name, or the folder holds none.
    """
    folder = _folder_of(address)
    if is_build(folder):
        return read_build(folder)
    if is_checkpoint(folder) and not (folder / "manifest.json").is_file():
        return Checkpoint(
            name=folder.resolve().name if _is_folder(address) else address,
            folder=folder,
            address=address,
        )
    return find_model(address)


def load_source(source: Source) -> ModelWeights:
    """Every weight of a model, or the way to each.

    Raises:
        ModelError: If a file is missing, damaged or does not fit.
    """
    if isinstance(source, Checkpoint):
        return read_llava(source.folder, name=source.name)
    return load_weights(source)


def source_digest(source: Source) -> str:
    """sha256 that tells one model from another; costs no reading of weights."""
    if isinstance(source, Checkpoint):
        return checkpoint_digest(source.folder)
    return weights_digest(source)


def _is_folder(address: str) -> bool:
    return "/" in address or os.sep in address


def _folder_of(name: str) -> Path:
    if _is_folder(name):
        return Path(name)
    if name in SHIPPED:
        return _SHIPPED_FOLDER / name
    known = {*SHIPPED, *(model.name for model in installed_models())}
    if name in known:
        return installed_folder(name)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ModelError(f"No model '{name}'.{hint} Known: {', '.join(sorted(known))}.")
