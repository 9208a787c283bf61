"""Builds: a model's graphs as files an engine maps into memory, made once and checked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import openvino as ov

from tinymed.engines.openvino.language import language_graph
from tinymed.engines.openvino.layers import Array, Precision
from tinymed.engines.openvino.vision import vision_graph
from tinymed.errors import ConfigError, ModelError
from tinymed.models.language_gguf import LanguageConfig

FORMAT = 2
"""Raised whenever the files of a build change their meaning."""
CONTEXT_TOKENS = 2048
"""Longest sequence a build can read: the length SmolLM2-135M was trained on."""
MANIFEST = "build.json"
EMBEDDING = "embedding.npy"
ALWAYS_HASHED_BYTES = 4 * 2**20
"""Files up to this size are hashed at every load, larger ones only by `check_build`."""


class BuildSource(Protocol):
    """What a build is made from; `tinymed.models.weights.ModelWeights` fulfils it."""

    @property
    def language(self) -> dict[str, Array]:
        """Tensors of the language model, named as transformers does, without "model."."""

    @property
    def language_config(self) -> LanguageConfig:
        """Shape of the language model."""

    @property
    def connector(self) -> dict[str, Array]:
        """Tensors of the connector, named as in AyaVisionMultiModalProjector."""

    @property
    def vision_encoder(self) -> str:
        """The vision encoder's name in `tinymed.models.parts`."""

    @property
    def vision_file(self) -> Path:
        """The vision encoder's file."""

    @property
    def fold(self) -> int:
        """Patches along one side that the connector folds into one image token."""

    @property
    def digest(self) -> str:
        """sha256 over all of the above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFile:
    """One file of a build."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a build's manifest says."""

    precision: Precision
    """How the weights of linear layers are stored."""
    weights_digest: str
    """sha256 over every weight that went in."""
    num_image_tokens: int
    context_tokens: int
    """Longest sequence, in tokens."""
    files: tuple[BuildFile, ...]

    @property
    def num_bytes(self) -> int:
        """Size on disk, without the manifest."""
        return sum(file.num_bytes for file in self.files)


def build_openvino(weights: BuildSource, folder: Path, *, precision: Precision) -> Build:
    """Write a model's build; the folder appears whole or not at all.

    An older build in the same place is replaced.

    Args:
        weights: What to build from.
        folder: Where the build goes.
        precision: "f32" is the reference for parity; "int8" is what a clinic runs.

    Raises:
        ConfigError: If the precision is unknown.
        ModelError: If the vision encoder cannot be read.
    """
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise ConfigError(f"No precision '{precision}' for OpenVINO. Known: {known}.")
    work = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        num_image_tokens = _write_graphs(weights, work, precision)
        build = Build(
            precision=precision,
            weights_digest=weights.digest,
            num_image_tokens=num_image_tokens,
            context_tokens=CONTEXT_TOKENS,
            files=tuple(_describe(path) for path in sorted(work.iterdir())),
        )
        text = json.dumps({"format": FORMAT, **asdict(build)}, indent=2) + "\n"
        (work / MANIFEST).write_text(text, encoding="utf-8")
        for path in (*work.iterdir(), work):
            _flush(path)
        _put_in_place(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return build


def read_build(folder: Path) -> Build:
    """Read a build's manifest, check its small files whole and its large ones by size.

    Raises:
        ModelError: If anything is missing or damaged, or another version made it.
    """
    return _checked(folder, hash_up_to=ALWAYS_HASHED_BYTES)


def check_build(folder: Path) -> Build:
    """Check every byte of a build.

    Raises:
        ModelError: If anything is missing or damaged, or another version made it.
    """
    return _checked(folder, hash_up_to=None)


def _write_graphs(weights: BuildSource, folder: Path, precision: Precision) -> int:
    vision = vision_graph(weights, precision=precision)
    num_image_tokens = int(vision.output(0).get_shape()[1])
    _save(vision, folder / "vision.xml")
    del vision
    language = language_graph(
        weights.language,
        weights.language_config,
        precision=precision,
        context_tokens=CONTEXT_TOKENS,
    )
    _save(language, folder / "language.xml")
    # Looked up row by row from the mapped file, so its width costs disk but no memory.
    dtype = np.float32 if precision == "f32" else np.float16
    np.save(folder / EMBEDDING, weights.language["embed_tokens.weight"].astype(dtype))
    return num_image_tokens


def _save(model: Any, path: Path) -> None:
    ov.save_model(model, path, compress_to_fp16=False)


def _describe(path: Path) -> BuildFile:
    return BuildFile(name=path.name, num_bytes=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_in_place(work: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    work.rename(folder)
    _flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _checked(folder: Path, *, hash_up_to: int | None) -> Build:
    build = _read_manifest(folder / MANIFEST)
    for file in build.files:
        path = folder / file.name
        if not path.is_file():
            raise ModelError(f"The build '{folder}' lacks its file '{file.name}'; build it again.")
        whole = path.stat().st_size == file.num_bytes
        if whole and (hash_up_to is None or file.num_bytes <= hash_up_to):
            whole = _sha256(path) == file.sha256
        if not whole:
            raise ModelError(
                f"The file '{file.name}' of the build '{folder}' is damaged; build it again."
            )
    return build


def _read_manifest(path: Path) -> Build:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        version = row.pop("format")
        if version != FORMAT:
            raise ModelError(
                f"The build '{path.parent}' has format {version}, this version reads {FORMAT}; "
                "build it again."
            )
        row["files"] = tuple(BuildFile(**file) for file in row["files"])
        return Build(**row)
    except FileNotFoundError as error:
        raise ModelError(f"No finished build at '{path.parent}'.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The manifest '{path}' is damaged; build it again.") from error
