"""The models that were brought to this computer: a folder each, under an exact name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tinymed.errors import ModelError
from tinymed.models.cache import cache_folder
from tinymed.runs import sync_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHIPPED_FOLDER = Path(__file__).parent / "shipped"
KINDS = {
    "manifest.json": "tinymed",
    "build.json": "build",
    "config.json": "checkpoint",
}
"""By the file that marks it, the first that is there: a model of tinymed, a build for an
engine, a checkpoint as transformers loads it. A folder with none of them holds weights alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledModel:
    """A model that was pulled or imported."""

    name: str
    kind: str
    """One of `KINDS`' values, or "weights"."""
    num_bytes: int
    folder: Path


def check_name(name: str) -> str:
    """Give a name back, or refuse it.

    Raises:
        ModelError: If a model that tinymed ships has it, or it is no plain name.

    Example:
        >>> check_name("clinic-7b.q4")
        'clinic-7b.q4'
        >>> check_name("../x")
        Traceback (most recent call last):
        tinymed.errors.ModelError: '../x' is no name for a model: write letters, digits, dots, \
dashes and underscores, a letter or digit first.
    """
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise ModelError(
            f"'{name}' is no name for a model: write letters, digits, dots, dashes and "
            "underscores, a letter or digit first."
        )
    if (_SHIPPED_FOLDER / name).is_dir():
        raise ModelError(f"'{name}' is a model that tinymed ships: give another name with --name.")
    return name


def models_folder() -> Path:
    """The folder of all installed models; it need not exist yet."""
    return cache_folder() / "models"


def installed_folder(name: str) -> Path:
    """Where the model of this exact name lies, or would lie.

    Raises:
        ModelError: If it is no name that an installed model can have.
    """
    return models_folder() / check_name(name)


def is_installed(name: str) -> bool:
    """Whether a model of exactly this name is installed."""
    # Compared with the folder's list: some systems open 'Model' where 'model' is asked for.
    return any(model.name == name for model in installed_models())


def installed_models() -> list[InstalledModel]:
    """Every installed model, by name."""
    folder = models_folder()
    if not folder.is_dir():
        return []
    return [
        InstalledModel(name=path.name, kind=kind_of(path), num_bytes=bytes_under(path), folder=path)
        for path in sorted(folder.iterdir())
        if path.is_dir() and _NAME.fullmatch(path.name)
    ]


def kind_of(folder: Path) -> str:
    """What a folder holds, by the file that marks it."""
    for marker, kind in KINDS.items():
        if (folder / marker).is_file():
            return kind
    return "weights"


def bytes_under(path: Path) -> int:
    """Size of a file, or of all files under a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def install_folder(work: Path, name: str) -> Path:
    """Give a finished folder its name among the installed models, whole or not at all.

    Args:
        work: A folder on the same disk, everything in it already on that disk; it moves.
        name: The exact name.

    Raises:
        ModelError: If the name is refused or taken.
    """
    target = installed_folder(name)
    if target.exists():
        raise ModelError(
            f"A model '{name}' is installed already. Give another name with --name, or run: "
            f"tinymed models rm {name}"
        )
    for folder in (*(path for path in work.rglob("*") if path.is_dir()), work):
        sync_folder(folder)
    work.rename(target)
    sync_folder(target.parent)
    return target


@contextmanager
def work_folder(name: str, purpose: str) -> Iterator[Path]:
    """A folder in which a model of this name is made, kept where the making is cut short.

    Held by one process at a time; the system lets it go when the process ends, however it
    ends. Whoever finishes removes it with `clear_work_folder`.

    Args:
        name: The name the model will have.
        purpose: "pull" or "import": each has a folder of its own.

    Raises:
        ModelError: If another process is at it, or the folder cannot be written.
    """
    work = models_folder() / f".{name}.{purpose}"
    try:
        work.mkdir(parents=True, exist_ok=True)
        with FileLock(work.with_name(work.name + ".lock"), blocking=False):
            yield work
    except Timeout as error:
        raise ModelError(
            f"Another tinymed is bringing the model '{name}' here: wait for it."
        ) from error
    except OSError as error:
        raise ModelError(
            f"Cannot store the model '{name}' in '{work.parent}': {error.strerror or error}. Set "
            "TINYMED_CACHE to a folder with room that you can write to."
        ) from error


def clear_work_folder(work: Path) -> None:
    """Remove what is left of a work folder once its model is installed."""
    shutil.rmtree(work, ignore_errors=True)
