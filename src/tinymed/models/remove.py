"""What of a model can be removed from this computer, and how much that frees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models import build as builds
from tinymed.models.cache import cache_folder, part_path
from tinymed.models.catalog import SHIPPED, find_model, find_source, source_digest
from tinymed.models.installed import (
    bytes_under,
    installed_folder,
    installed_models,
    is_installed,
    models_folder,
)


def paths_to_remove(name: str, *, scheme: str | None = None) -> dict[Path, int]:
    """What goes with a model of this exact name, and its size in bytes.

    Args:
        name: An installed model's, or a shipped one's: that stays, its builds and the parts that
            no other model needs go.
        scheme: Where given, the builds of this scheme alone.

    Raises:
        ModelError: If no model has this name, or nothing of it is here.
    """
    if not is_installed(name) and name not in SHIPPED:
        left = [path for path in _cut_short(name) if path.is_dir()]
        if left and scheme is None:
            return {path: bytes_under(path) for path in left}
        known = ", ".join(sorted({*SHIPPED, *(model.name for model in installed_models())}))
        raise ModelError(f"No model '{name}' is here. Known: {known}.")
    doomed = _builds_of(name, scheme)
    if scheme is None:
        doomed += _cut_short(name)
        doomed += _own_parts(name) if name in SHIPPED else [installed_folder(name)]
    elif not doomed:
        raise ModelError(f"No build '{scheme}' of '{name}' is here.")
    return {path: bytes_under(path) for path in doomed if path.exists()}


def unused_builds() -> dict[Path, int]:
    """Builds of no use: of other formats, of weights that no model here has, or never finished."""
    names = [*SHIPPED, *(model.name for model in installed_models())]
    digests = {digest for name in names if (digest := _digest(name)) is not None}
    doomed = [
        folder
        for folder, row in _all_builds()
        if row.get("format") != builds.FORMAT or row.get("source_digest") not in digests
    ]
    doomed += builds.left_by_killed(cache_folder() / "builds")
    return {folder: bytes_under(folder) for folder in doomed}


def remove(paths: dict[Path, int]) -> None:
    """Remove files and folders; each stops being what it was before its content goes.

    Raises:
        ModelError: If one cannot be removed.
    """
    for path in paths:
        going = path.with_name(f".{path.name.removeprefix('.')}.going")
        try:
            shutil.rmtree(going, ignore_errors=True)
            path.rename(going)  # a kill half-way leaves no model that looks whole
            if going.is_dir():
                shutil.rmtree(going)
            else:
                going.unlink()
        except OSError as error:
            raise ModelError(f"Cannot remove '{path}': {error.strerror or error}.") from error


def _cut_short(name: str) -> list[Path]:
    """Folders of a pull or an import that did not end."""
    return [models_folder() / f".{name}.{purpose}" for purpose in ("pull", "import")]


def _builds_of(name: str, scheme: str | None) -> list[Path]:
    digest = _digest(name)
    return [
        folder
        for folder, row in _all_builds()
        if digest is not None
        and row.get("source_digest") == digest
        and scheme in (None, row.get("scheme"))
    ]


def _all_builds() -> list[tuple[Path, dict[str, object]]]:
    """Every finished build in the cache, with what its manifest says."""
    found = []
    for path in sorted((cache_folder() / "builds").glob(f"*/{builds.MANIFEST}")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            row = {}
        found.append((path.parent, row if isinstance(row, dict) else {}))
    return found


def _digest(name: str) -> str | None:
    """What a model's builds carry; None for a model that cannot be read, or is a build."""
    try:
        return source_digest(find_source(name))
    except ModelError:
        return None


def _own_parts(name: str) -> list[Path]:
    """Fetched parts of a shipped model that no other model of tinymed needs."""
    others = [one for one in (*SHIPPED, *_installed_names()) if one != name]
    needed = {part.sha256 for other in others for part in find_model(other).parts}
    return [part_path(part).parent for part in find_model(name).parts if part.sha256 not in needed]


def _installed_names() -> list[str]:
    return [model.name for model in installed_models() if model.kind == "tinymed"]
