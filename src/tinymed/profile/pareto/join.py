"""Quality and cost of one and the same build, brought together by the digest of its weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinymed.errors import DataError
from tinymed.profile.pareto.folders import Evaluation, Folders, SampleSet
from tinymed.profile.point import Point

REFUSED = "failed"
"""What a point's `parity` says of a build that the gate refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A measured point under a name that no other point has."""

    name: str
    point: Point
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One build: what it took, and how well it answered."""

    measured: Named
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFront:
    """What there is to compare over one set of samples."""

    samples: SampleSet
    pairs: tuple[Pair, ...]
    without_cost: tuple[Evaluation, ...]
    """Evaluated, but not measured."""
    without_quality: tuple[Named, ...]
    """Measured, but not evaluated on these samples."""


def named_points(folders: Folders) -> list[Named]:
    """Every measured point; where two share a name, with what tells them apart.

    Raises:
        DataError: If one folder's points cannot be told apart.
    """
    found = [(point, profile.folder) for profile in folders.profiles for point in profile.points]
    names = [point.name for point, _ in found]
    for way in (_with_device, _with_folder, _with_whole_folder):
        counts = Counter(names)
        names = [
            way(point, folder) if counts[name] > 1 else name
            for (point, folder), name in zip(found, names, strict=True)
        ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"Two points are called '{twice[0]}': measure each in a folder of its own.")
    return [
        Named(name=name, point=point, folder=folder)
        for name, (point, folder) in zip(names, found, strict=True)
    ]


def _with_device(point: Point, _: Path) -> str:
    return f"{point.name}, {point.device}, {point.threads} threads"


def _with_folder(point: Point, folder: Path) -> str:
    return f"{point.name}, {folder.name}"


def _with_whole_folder(point: Point, folder: Path) -> str:
    return f"{point.name}, {folder}"


def join(folders: Folders) -> list[SampleFront]:
    """Bring points and evaluations together, a front for each set of samples.

    They are of the same build if scheme and sha256 of the weights are the same. Points of
    random weights have no quality.

    Raises:
        DataError: If two evaluations of one build on the same samples found different scores.
    """
    points = named_points(folders)
    groups: dict[SampleSet, list[Evaluation]] = {}
    for evaluation in folders.evaluations:
        groups.setdefault(_key(evaluation.samples, groups), []).append(evaluation)
    return [_front(samples, _distinct(found), points) for samples, found in groups.items()]


def _key(samples: SampleSet, known: dict[SampleSet, list[Evaluation]]) -> SampleSet:
    """The same samples under the name of a file that was seen first."""
    same = (one for one in known if (one.sha256, one.limit) == (samples.sha256, samples.limit))
    return next(same, samples)


def _distinct(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    kept: dict[tuple[str, str], Evaluation] = {}
    for one in evaluations:
        first = kept.setdefault((one.scheme, one.weights_sha256), one)
        if first.scores != one.scores:
            raise DataError(
                f"'{first.folder}' and '{one.folder}' evaluate the same build on the same samples "
                "and found different scores: name one of them."
            )
    return list(kept.values())


def _front(
    samples: SampleSet, evaluations: Sequence[Evaluation], points: Sequence[Named]
) -> SampleFront:
    by_build = {(one.scheme, one.weights_sha256): one for one in evaluations}
    pairs, without_quality = [], []
    for named in points:
        found = by_build.get((named.point.scheme, named.point.weights_sha256))
        if found is None or named.point.is_random:
            without_quality.append(named)
        else:
            pairs.append(Pair(measured=named, evaluation=found))
    joined = {id(pair.evaluation) for pair in pairs}
    return SampleFront(
        samples=samples,
        pairs=tuple(pairs),
        without_cost=tuple(one for one in evaluations if id(one) not in joined),
        without_quality=tuple(without_quality),
    )
