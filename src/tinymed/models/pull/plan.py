"""What a pull will fetch, fixed before the first byte and kept until the last."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models.transfer.urls import without_password
from tinymed.runs import write_json

FORMAT = "tinymed-pull-1"
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_BLOB = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """One file to fetch, known by size and hash."""

    name: str
    """A plain name: every file of a model lies in one folder."""
    url: str
    num_bytes: int
    sha256: str = ""
    git_blob: str = ""
    """Where its publisher states no SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The files of one version of a model."""

    origin: str
    """"hub", "web", "package" or "folder"."""
    wanted: tuple[str, ...]
    """The request, in words: a later run with the same takes this plan up."""
    version: str
    """The hub's commit or the package's version; "" where there is none."""
    files: tuple[PlannedFile, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.num_bytes for file in self.files)


def planned_file(
    name: str,
    url: str,
    *,
    num_bytes: object,
    sha256: object = "",
    git_blob: object = "",
    whence: str,
) -> PlannedFile:
    """A file as its publisher states it, refused unless name, size and hash are such.

    Raises:
        ModelError: If one of them is not.
    """
    if not _FILE_NAME.fullmatch(name):
        raise ModelError(f"{whence} lists a file '{name[:80]}', whose name cannot be taken over.")
    if not isinstance(num_bytes, int) or num_bytes < 0:
        raise ModelError(f"{whence} states no size of '{name}', so it cannot be checked.")
    has_sha256 = isinstance(sha256, str) and _SHA256.fullmatch(sha256)
    if not has_sha256 and not (isinstance(git_blob, str) and _GIT_BLOB.fullmatch(git_blob)):
        raise ModelError(f"{whence} states no hash of '{name}', so it cannot be checked.")
    return PlannedFile(
        name=name,
        url=url,
        num_bytes=num_bytes,
        sha256=str(sha256) if has_sha256 else "",
        git_blob="" if has_sha256 else str(git_blob),
    )


def write_plan(plan: Plan, path: Path) -> None:
    """Keep a plan beside what it fetches; passwords in its addresses are kept with it."""
    write_json(path, asdict(plan))
    path.chmod(0o600)


def read_plan(path: Path) -> Plan | None:
    """An earlier run's plan, or None where there is none that can be read."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(PlannedFile(**file) for file in row.pop("files"))
        return Plan(
            origin=row["origin"],
            wanted=tuple(row["wanted"]),
            version=row["version"],
            files=files,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_record(plan: Plan, folder: Path, sha256_by_name: dict[str, str]) -> None:
    """Write `pulled.json` into a model's folder: what came from where, with hashes."""
    write_json(
        folder / "pulled.json",
        {
            "format": FORMAT,
            "origin": plan.origin,
            "wanted": list(plan.wanted),
            "version": plan.version,
            "fetched": [
                {"name": file.name, "url": without_password(file.url), "num_bytes": file.num_bytes}
                for file in plan.files
            ],
            "sha256": sha256_by_name,
        },
    )


def recorded_request(folder: Path) -> tuple[str, ...] | None:
    """The request that an installed model was pulled by, or None if it was not pulled."""
    try:
        row = json.loads((folder / "pulled.json").read_text(encoding="utf-8"))
        return tuple(row["wanted"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
