"""What is compared: answers of several systems to the same samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.evaluate.pairing import Pair, pair
from tinymed.evaluate.report.report import Report, read_report
from tinymed.evaluate.run_folder import SAMPLES_FILE, predictions_file
from tinymed.evaluate.score import score
from tinymed.jsonl import read_predictions, read_samples, samples_digest
from tinymed.records import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One system's answers, joined with their samples, and its scores."""

    label: str
    """What a table calls it; no two are alike."""
    pairs: Sequence[Pair]
    """In the order of the samples."""
    conditions: Mapping[str, Sequence[Score]]
    """Scores of the system under "model" and, for a run folder, of its controls."""
    run: Mapping[str, Any] | None
    """What run.json says; None for a file of predictions made anywhere."""
    warnings: tuple[str, ...] = ()
    """What its own report warns of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSet:
    """Answers of several systems to the same samples; the first is the reference."""

    samples_name: str
    samples_sha256: str
    """Digest of the whole split, of which `limit` may have cut a part."""
    limit: int | None
    answers: tuple[Answers, ...]


def read_answers(paths: Sequence[Path], *, samples: Path | None = None) -> AnswerSet:
    """Read run folders of `tinymed evaluate run`, files of predictions, or both.

    Samples are those of `--samples`, else the copy in the first run folder that keeps one.

    Raises:
        DataError: If a run is not finished, if runs answered other samples or another
            number of them, if no samples are at hand, or if predictions do not match them.
    """
    reports = {path: read_report(path) for path in paths if path.is_dir()}
    _refuse_other_samples(reports)
    found = _samples(paths, reports, named=samples)
    labels = _labels(paths, reports)
    answers = tuple(
        _answers(path, reports.get(path), found.samples, label=label)
        for path, label in zip(paths, labels, strict=True)
    )
    return AnswerSet(
        samples_name=found.name,
        samples_sha256=found.sha256,
        limit=found.limit,
        answers=answers,
    )


def _refuse_other_samples(reports: Mapping[Path, Report]) -> None:
    for (first, report), (other, its_report) in pairwise(reports.items()):
        run, its_run = report.run, its_report.run
        if run["samples_sha256"] != its_run["samples_sha256"]:
            raise DataError(
                f"'{other}' answered other samples than '{first}' ({_split(its_run)} against "
                f"{_split(run)}); compare runs over the same samples."
            )
        if run["limit"] != its_run["limit"]:
            raise DataError(
                f"'{other}' answered {_limit(its_run)} and '{first}' {_limit(run)}; compare "
                "runs with the same --limit."
            )


def _split(run: Mapping[str, Any]) -> str:
    return f"{run['samples']}, sha256 {run['samples_sha256'][:12]}"


def _limit(run: Mapping[str, Any]) -> str:
    return "all samples" if run["limit"] is None else f"the first {run['limit']} samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class _FoundSamples:
    name: str
    sha256: str
    limit: int | None
    samples: list[Sample]


def _samples(
    paths: Sequence[Path], reports: Mapping[Path, Report], *, named: Path | None
) -> _FoundSamples:
    """The samples that were answered, checked against what the runs say of them."""
    kept = [path / SAMPLES_FILE for path in reports if (path / SAMPLES_FILE).exists()]
    source = named or next(iter(kept), None)
    if source is None:
        what = (
            f"'{next(iter(reports))}' keeps no {SAMPLES_FILE}: an older version made it"
            if reports
            else f"'{paths[0]}' holds predictions without their questions"
        )
        raise DataError(f"{what}; name the samples with --samples.")
    samples = read_samples(source)
    digest = samples_digest(samples)
    run = next((report.run for report in reports.values()), None)
    if run is None:
        return _FoundSamples(name=source.name, sha256=digest, limit=None, samples=samples)
    limit = run["limit"]
    # The copy in a folder is of what was asked; the digest is of the whole split.
    is_part = named is None and limit is not None
    if digest != run["samples_sha256"] and not is_part:
        raise DataError(
            f"'{source}' (sha256 {digest[:12]}) is not what '{next(iter(reports))}' answered "
            f"({_split(run)}); name those samples with --samples."
        )
    return _FoundSamples(
        name=run["samples"], sha256=run["samples_sha256"], limit=limit, samples=samples[:limit]
    )


def _labels(paths: Sequence[Path], reports: Mapping[Path, Report]) -> list[str]:
    """Model names where they differ, else with the folder's, else numbered."""
    names = [
        str(reports[path].run["model"]) if path in reports else path.resolve().stem
        for path in paths
    ]
    for marks in ([path.resolve().name for path in paths], range(1, 1 + len(paths))):
        counts = Counter(names)
        names = [
            f"{name} ({mark})" if counts[name] > 1 else name
            for name, mark in zip(names, marks, strict=True)
        ]
    return names


def _answers(
    path: Path, report: Report | None, samples: Sequence[Sample], *, label: str
) -> Answers:
    predictions = read_predictions(path if report is None else predictions_file(path, "model"))
    try:
        pairs = pair(samples, predictions)
    except DataError as error:
        raise DataError(f"'{path}': {error}") from error
    answers = Answers(label=label, pairs=pairs, conditions={}, run=None)
    if report is None:
        return replace(answers, conditions={"model": score(samples, predictions)})
    return replace(answers, conditions=report.conditions, run=report.run, warnings=report.warnings)
