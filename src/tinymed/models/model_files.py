"""Which files of a model's folder go along when it moves."""

from __future__ import annotations

from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models.headers.admit import WEIGHTS, admit, is_admitted_name, is_pickle_name
from tinymed.models.installed import KINDS
from tinymed.models.manifest import read_manifest
from tinymed.runs import sha256_of


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder by name, each checked; others and folders are left out.

    Raises:
        ModelError: If it holds no model, pickle, a file with a header that lies, or weights
            that are not those its manifest names.
    """
    try:
        files = sorted(
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
        )
    except OSError as error:
        raise ModelError(f"Cannot read '{folder}': {error.strerror or error}.") from error
    names = {path.name for path in files}
    if not names & set(KINDS) and not any(path.suffix.lower() in WEIGHTS for path in files):
        raise ModelError(
            f"No model in '{folder}': it holds neither {', '.join(KINDS)} nor weights in "
            "safetensors or GGUF."
        )
    taken = [
        path for path in files if is_pickle_name(path.name, names) or is_admitted_name(path.name)
    ]
    for path in taken:
        admit(path)
    if "manifest.json" in names:
        _refuse_other_weights(folder)
    return taken


def _refuse_other_weights(folder: Path) -> None:
    manifest = read_manifest(folder / "manifest.json")
    trained = folder / manifest.trained_file
    if trained.parent != folder or not trained.is_file():
        raise ModelError(f"'{folder}' lacks the file of its manifest, '{manifest.trained_file}'.")
    if sha256_of(trained) != manifest.trained_sha256:
        raise ModelError(f"'{trained}' is not the file its manifest names (sha256 differs).")
