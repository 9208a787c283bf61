"""What RUN folders hold: measured points of `profile run`, and scores of `evaluate run`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.profile.point import Point, read_point
from tinymed.published.rows import KnownSplit, datasets, known_split
from tinymed.records import Score

PROFILE_FILE = "profile.json"
RUN_FILE = "run.json"
SCORES_FILE = "scores.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A folder of `tinymed profile run`."""

    folder: Path
    run: Mapping[str, Any]
    """What it says of the machine, the versions and how it was measured."""
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSet:
    """The questions that scores are over."""

    file: str
    sha256: str
    limit: int | None
    """Only so many of the file's first were asked; None for all."""

    @property
    def known(self) -> KnownSplit | None:
        """The public split it is, where it is one and whole."""
        return known_split(self.sha256) if self.limit is None else None

    @property
    def name(self) -> str:
        """Short: what a user types and a file is called."""
        known = known_split(self.sha256)
        base = f"{known.dataset}-{known.split}" if known else f"{Path(self.file).stem}"
        base = base if known else f"{base}-{self.sha256[:8]}"
        return base if self.limit is None else f"{base}-first-{self.limit}"

    @property
    def title(self) -> str:
        """What it is called on a page."""
        known = known_split(self.sha256)
        base = (
            f"{datasets()[known.dataset].title}, {known.split}"
            if known
            else f"{self.file} (sha256 {self.sha256[:8]})"
        )
        return base if self.limit is None else f"{base}, first {self.limit} questions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A folder of `tinymed evaluate run`: a model's scores, not its controls'."""

    folder: Path
    run: Mapping[str, Any]
    model: str
    scheme: str
    weights_sha256: str
    samples: SampleSet
    scores: tuple[Score, ...]

    @property
    def name(self) -> str:
        """What a person calls it: "MODEL:SCHEME"."""
        return f"{self.model}:{self.scheme}"

    def score(self, metric: str) -> Score | None:
        """A metric over everything it judges."""
        whole = ("all", "open", "closed")
        found = (one for one in self.scores if one.metric == metric and one.subset in whole)
        return next(found, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Everything that a set of RUN folders holds."""

    profiles: tuple[Profile, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """Every measured point."""
        return tuple(point for profile in self.profiles for point in profile.points)


def read_folders(folders: Sequence[Path]) -> Folders:
    """Read RUN folders, whichever of the two commands made each.

    Raises:
        DataError: If one is neither, is not finished, or is damaged.
    """
    profiles, evaluations = [], []
    for folder in dict.fromkeys(folders):
        if (folder / PROFILE_FILE).is_file():
            profiles.append(_profile(folder))
        elif (folder / SCORES_FILE).is_file():
            evaluations.append(_evaluation(folder))
        else:
            raise DataError(
                f"'{folder}' holds neither {PROFILE_FILE} nor {SCORES_FILE}: name finished "
                "folders of `tinymed profile run` and `tinymed evaluate run`."
            )
    return Folders(profiles=tuple(profiles), evaluations=tuple(evaluations))


def _profile(folder: Path) -> Profile:
    path = folder / PROFILE_FILE
    found = _read(path)
    try:
        points = tuple(read_point(row) for row in found["points"])
        run = {key: value for key, value in found.items() if key not in ("points", "notice")}
        return Profile(folder=folder, run=run, points=points)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"'{path}' is not a profile of `tinymed profile run`.") from error


def _evaluation(folder: Path) -> Evaluation:
    path = folder / SCORES_FILE
    found = _read(path)
    try:
        run = found["run"]
        return Evaluation(
            folder=folder,
            run=run,
            model=run["model"],
            scheme=run["scheme"],
            weights_sha256=run["weights_sha256"],
            samples=SampleSet(
                file=run["samples"], sha256=run["samples_sha256"], limit=run["limit"]
            ),
            scores=tuple(_score(row) for row in found["conditions"]["model"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"'{path}' does not say which build answered which samples: evaluate it again with "
            "`tinymed evaluate run`."
        ) from error


def _score(row: Mapping[str, Any]) -> Score:
    low, high = row["interval"]
    return Score(
        metric=row["metric"],
        subset=row["subset"],
        value=row["value"],
        interval=(low, high),
        num_samples=row["num_samples"],
        num_unparsed=row["num_unparsed"],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read '{path}': {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"'{path}' is not a JSON object.")
    return found
