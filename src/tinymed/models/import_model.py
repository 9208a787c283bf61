"""Installing whatever a person brings in a file or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinymed.errors import ConfigError, ModelError
from tinymed.extras import require
from tinymed.models.bundle.install import InstalledBundle, install_bundle
from tinymed.models.bundle.read import find_bundle
from tinymed.models.installed import (
    check_name,
    installed_folder,
    is_installed,
    kind_of,
    models_folder,
)
from tinymed.models.pull.run import PullRequest, pull

_OF_BUNDLES = ("repair_from",)
_OF_CHECKPOINTS = ("layout", "base", "vision", "tokenizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What to install."""

    source: Path
    """A bundle, its first piece, a folder of pieces, or a model's folder."""
    name: str | None = None
    """What to call it; None takes the bundle's or the folder's name."""
    repair_from: tuple[Path, ...] = ()
    """Other copies of the bundle."""
    layout: str | None = None
    """The checkpoint's layout; None is told from its config.json."""
    base: Path | None = None
    vision: Path | None = None
    tokenizer: Path | None = None
    """What a checkpoint may lack, as `tinymed.models.importers.layout.Source` says."""


def import_model(request: ImportRequest, *, progress: bool = True) -> InstalledBundle:
    """Install a bundle, a model of tinymed, a build, or a published checkpoint; no network.

    Raises:
        ConfigError: If an option means nothing for this source.
        ModelError: If the source is none of these, or not whole.
        MissingExtraError: If a checkpoint needs torch, and it is not installed.
    """
    bundle = find_bundle(request.source)
    if bundle is not None:
        _refuse_idle_options(request, _OF_CHECKPOINTS, "a bundle")
        return install_bundle(
            bundle,
            name=request.name,
            repair_from=tuple(find_bundle(path) or path for path in request.repair_from),
            progress=progress,
        )
    _refuse_idle_options(request, _OF_BUNDLES, "a folder")
    if not request.source.is_dir():
        raise ModelError(
            f"'{request.source}' is neither a bundle, nor the first piece of one, nor a folder "
            "with a model."
        )
    if kind_of(request.source) in ("tinymed", "build"):
        _refuse_idle_options(request, _OF_CHECKPOINTS, "a model of tinymed")
        reference = f"{request.source.resolve()}/"
        pulled = pull(PullRequest(reference=reference, name=request.name), progress=progress)
        return InstalledBundle(name=pulled.name, kind=pulled.kind, folder=pulled.folder)
    return _import_checkpoint(request, progress=progress)


def _refuse_idle_options(request: ImportRequest, fields: tuple[str, ...], source: str) -> None:
    for field in fields:
        if getattr(request, field):
            flag = field.replace("_", "-")
            raise ConfigError(f"--{flag} means nothing for {source}: leave it out.")


def _import_checkpoint(request: ImportRequest, *, progress: bool) -> InstalledBundle:
    name = check_name(request.name or request.source.resolve().name)
    if is_installed(name):
        raise ModelError(
            f"A model '{name}' is installed already. Give another name with --name, or run: "
            f"tinymed models rm {name}"
        )
    for module in ("torch", "transformers"):
        require(module, extra="torch", for_what="Importing a published checkpoint")
    from tinymed.models.importers.layout import Source
    from tinymed.models.importers.write import import_checkpoint

    models_folder().mkdir(parents=True, exist_ok=True)
    report = import_checkpoint(
        Source(
            folder=request.source,
            base=request.base,
            vision=request.vision,
            tokenizer=request.tokenizer,
        ),
        installed_folder(name),
        layout=request.layout,
        progress=progress,
    )
    return InstalledBundle(name=name, kind="checkpoint", folder=report.folder)
