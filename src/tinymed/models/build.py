"""Builds: a model in an engine's own files, whole without what it was made from.

A build is a folder: `build.json`, written last; the files it names with their hashes;
`tokenizer.json` among them. The gate's verdict stands beside it in `parity.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tinymed.errors import ModelError
from tinymed.images.prepare import Preprocessing
from tinymed.models.prompt import Prompt, Template, build_prompt
from tinymed.runs import sha256_of, sync_folder, write_json

FORMAT = 4
"""Raised whenever a builder writes other files of the same model: older builds are made again."""
CONTEXT_TOKENS = 2048
"""Longest sequence a build can read: the length SmolLM2-135M was trained on."""
MANIFEST = "build.json"
TOKENIZER = "tokenizer.json"
_LEFT = re.compile(r"\..+\.([0-9]+)\.(?:part|old)")
"""Names that `_beside` gives, with the process in them."""
ALWAYS_HASHED_BYTES = 4 * 2**20
"""Files up to this size are hashed at every load, larger ones only by `check_build`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPart:
    """One part of a model as a build stores it."""

    name: str
    """One of `schemes.PARTS`."""
    precision: str
    """Of its matrices, but for those in `kept`."""
    num_weights: int
    num_bytes: int
    """What they take in the build's files, scales included."""
    kept: tuple[str, ...] = ()
    """Matrices that stay in 16 or 32 bits although the scheme quantizes this part."""

    @property
    def bits(self) -> float:
        """Bits a weight, scales included."""
        return 8 * self.num_bytes / self.num_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFile:
    """One file of a build."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a build's manifest says."""

    model: str
    """The model's name, such as "nano"."""
    description: str
    scheme: str
    """A name in `schemes.SCHEMES`."""
    parts: tuple[BuildPart, ...]
    source_digest: str
    """sha256 over everything the build was made from."""
    template: Template
    preprocessing: Preprocessing
    num_image_tokens: int
    context_tokens: int
    """Longest sequence, in tokens."""
    made_with: dict[str, str]
    """Versions of what wrote the files."""
    files: tuple[BuildFile, ...] = ()
    folder: Path = Path()

    @property
    def name(self) -> str:
        """What a person calls it: "MODEL:SCHEME"."""
        return f"{self.model}:{self.scheme}"

    @property
    def digest(self) -> str:
        """sha256 over all that decides an answer: the files' hashes, prompt, preprocessing."""
        row = {
            "scheme": self.scheme,
            "template": asdict(self.template),
            "preprocessing": asdict(self.preprocessing),
            "context_tokens": self.context_tokens,
            "files": [(file.name, file.sha256) for file in self.files],
        }
        return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()

    @property
    def num_bytes(self) -> int:
        """Size on disk, without the manifest."""
        return sum(file.num_bytes for file in self.files)

    def precision(self, part: str) -> str:
        """The precision of one of `schemes.PARTS`, as this build really has it."""
        return next(found.precision for found in self.parts if found.name == part)


def write_build(folder: Path, make: Callable[[Path], Build]) -> Build:
    """Write a build; the folder appears whole or not at all.

    An older build in the same place is replaced.

    Args:
        folder: Where the build goes.
        make: Writes the build's files into the folder it is given and describes them; the
            files' hashes are added here.
    """
    work = _beside(folder, os.getpid(), "part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        made = make(work)
        files = tuple(
            BuildFile(name=path.name, num_bytes=path.stat().st_size, sha256=sha256_of(path))
            for path in sorted(work.iterdir())
        )
        build = replace(made, files=files, folder=folder)
        row = asdict(build)
        del row["folder"]
        for path in work.iterdir():
            _flush(path)
        write_json(work / MANIFEST, {"format": FORMAT, **row})
        _put_in_place(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return build


def clear_after(folder: Path, pid: int) -> None:
    """Remove what a process left of a build that it did not finish; it must have ended."""
    for purpose in ("part", "old"):
        shutil.rmtree(_beside(folder, pid, purpose), ignore_errors=True)


def left_by_killed(builds: Path) -> list[Path]:
    """What is left of builds in a folder whose process was killed: it no longer runs."""
    found = (_LEFT.fullmatch(path.name) for path in sorted(builds.glob(".*")))
    return [builds / match[0] for match in found if match and not _is_alive(int(match[1]))]


def load_prompt(build: Build) -> Prompt:
    """How questions are put to a build, with the tokenizer in its folder.

    Raises:
        ModelError: If the tokenizer cannot be read.
    """
    path = build.folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise ModelError(f"'{path}' cannot be read as a tokenizer: {error}.") from error
    return build_prompt(tokenizer, build.template)


def is_build(folder: Path) -> bool:
    """Whether a folder holds a finished build."""
    return (folder / MANIFEST).is_file()


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


def _beside(folder: Path, pid: int, purpose: str) -> Path:
    """Where a process keeps a build that is not whole yet, or one that it replaces."""
    return folder.with_name(f".{folder.name}.{pid}.{purpose}")


def _is_alive(pid: int) -> bool:
    """Whether a process runs, or may run: not every system tells."""
    if os.name != "posix":
        return True  # there a signal is never a mere question
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_in_place(work: Path, folder: Path) -> None:
    old = _beside(folder, os.getpid(), "old")
    if folder.exists():
        folder.rename(old)
    work.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _checked(folder: Path, *, hash_up_to: int | None) -> Build:
    build = _read_manifest(folder / MANIFEST)
    for file in build.files:
        path = folder / file.name
        if not path.is_file():
            raise ModelError(f"The build '{folder}' lacks its file '{file.name}'; build it again.")
        whole = path.stat().st_size == file.num_bytes
        if whole and (hash_up_to is None or file.num_bytes <= hash_up_to):
            whole = sha256_of(path) == file.sha256
        if not whole:
            raise ModelError(
                f"The file '{file.name}' of the build '{folder}' is damaged; build it again."
            )
    return build


def _read_manifest(path: Path) -> Build:
    try:
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = row.pop("format")
        if version != FORMAT:
            raise ModelError(
                f"The build '{path.parent}' has format {version}, this version reads {FORMAT}; "
                "build it again."
            )
        files = tuple(BuildFile(**file) for file in row.pop("files"))
        if any(Path(file.name).name != file.name for file in files):
            raise ModelError(f"The manifest '{path}' names a file outside its folder.")
        parts = tuple(
            BuildPart(**(part | {"kept": tuple(part["kept"])})) for part in row.pop("parts")
        )
        preprocessing = Preprocessing.from_row(row.pop("preprocessing"))
        template = Template(**row.pop("template"))
        return Build(
            **row,
            parts=parts,
            template=template,
            preprocessing=preprocessing,
            files=files,
            folder=path.parent,
        )
    except FileNotFoundError as error:
        raise ModelError(f"No finished build at '{path.parent}'.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The manifest '{path}' is damaged; build it again.") from error
