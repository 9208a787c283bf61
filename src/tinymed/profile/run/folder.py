"""The folder of a profile: what was measured on what, each point in a file, the whole last."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.profile.point import Point, point_row, read_point
from tinymed.profile.run.observation import Observation
from tinymed.runs import only_one, open_run_folder, write_bytes, write_json

PROFILE_FILE = "profile.json"
_POINTS = "points"
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")


@contextmanager
def profile_folder(folder: Path, identity: Mapping[str, Any]) -> Iterator[None]:
    """Hold a folder for this process: a new one, or one begun with the same identity.

    Raises:
        DataError: If another process holds the folder, it cannot be made, or it holds another
            run (says what differs) or files of none.
    """
    with only_one(folder):
        open_run_folder(folder, identity)
        (folder / _POINTS).mkdir(exist_ok=True)
        yield


def point_path(folder: Path, name: str) -> Path:
    """Where the point of a name ("MODEL:SCHEME") lies.

    >>> point_path(Path("run"), "nano:native-int8").name
    'nano-native-int8.json'
    """
    return folder / _POINTS / f"{_STRANGE.sub('-', name)}.json"


def standing_point(folder: Path, name: str) -> Point | None:
    """The point of a name that was measured before; None if it was not.

    Raises:
        DataError: If its file is damaged.
    """
    path = point_path(folder, name)
    return _read(path) if path.exists() else None


def all_points(folder: Path) -> list[Point]:
    """Every point that stands in the folder, by name.

    Raises:
        DataError: If a file is damaged.
    """
    return [_read(path) for path in sorted((folder / _POINTS).glob("[!.]*.json"))]


def keep_point(folder: Path, point: Point, observed: Observation) -> None:
    """Write a point, and before it the raw repetitions that it sums up."""
    path = point_path(folder, point.name)
    write_bytes(path.with_suffix(".runs.jsonl"), _raw(observed))
    write_json(path, point_row(point))
    path.with_suffix(".refused.jsonl").unlink(missing_ok=True)


def keep_refused(folder: Path, name: str, observed: Observation) -> None:
    """Keep aside what was measured but is not to be believed."""
    write_bytes(point_path(folder, name).with_suffix(".refused.jsonl"), _raw(observed))


def _raw(observed: Observation) -> bytes:
    """A line of what is said once, then one a repetition."""
    row = asdict(observed)
    rows = [{name: value for name, value in row.items() if name != "repetitions"}]
    rows += row["repetitions"]
    return "".join(json.dumps(one) + "\n" for one in rows).encode()


def _read(path: Path) -> Point:
    try:
        return read_point(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"'{path}' is not a measured point: delete it, and run again.") from error
