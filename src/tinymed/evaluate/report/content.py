"""What a run folder's report holds, drawn together from its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.evaluate.report.against_controls import summary
from tinymed.evaluate.report.audit_shown import audit_sections
from tinymed.evaluate.report.errors_shown import MAX_OF_ONE_IMAGE, MAX_SHOWN, wrong_answers
from tinymed.evaluate.report.judge_shown import judge_section
from tinymed.evaluate.report.leakage_shown import leakage_section
from tinymed.evaluate.report.provenance import provenance_section, reading_section
from tinymed.evaluate.report.report import Report, read_report
from tinymed.evaluate.report.scores_shown import (
    comparison_section,
    metrics_section,
    parts_sections,
)
from tinymed.evaluate.run_folder import SAMPLES_FILE, predictions_file
from tinymed.jsonl import read_predictions, read_samples, samples_digest
from tinymed.pages.document import Document, Section, Text
from tinymed.records import NOTICE, Prediction, Sample

AUDIT_FILE = "audit.json"
JUDGE_FILE = "judge.json"

_WRONG = (
    f"Wrong answers, the model's surest first; at most {MAX_SHOWN}, at most "
    f"{MAX_OF_ONE_IMAGE} about one image. An open answer in other words than the reference "
    "counts as wrong too."
)
_PATIENTS = "The images are of patients: pass this file on only where you may pass them on."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """Which files a report is made of."""

    folder: Path
    """Run folder of `tinymed evaluate run`."""
    samples: Path | None = None
    """The run's samples, where its folder does not hold them."""
    audit: Path | None = None
    """Folder of `tinymed evaluate audit`."""
    judge: Path | None = None
    """Folder of `tinymed evaluate judge`."""
    with_images: bool = True
    """Whether the worst errors are shown with their images."""


def read_document(settings: ReportSettings) -> Document:
    """Read a run folder and set out its report.

    Raises:
        DataError: If the folder holds no finished run, or a file of it or beside it does not
            fit.
    """
    report = read_report(settings.folder)
    return Document(
        title=f"{_name(report, 'model')} on {_name(report, 'samples')}",
        facts=_facts(report),
        notice=NOTICE,
        warnings=(*report.warnings, *report.notes),
        summary=tuple(summary(report)),
        sections=tuple(_sections(report, settings)),
    )


def _name(report: Report, key: str) -> str:
    return str(report.run.get(key, f"unknown {key}"))


def _facts(report: Report) -> dict[str, str]:
    run = report.run
    whole = run.get("limit") is None
    facts = {
        "questions": f"{report.num_samples}{'' if whole else ', the first of the file only'}",
        "engine": run.get("scheme") or run.get("engine"),
        "decoding": run.get("decoding"),
        "samples": f"sha256 {str(run['samples_sha256'])[:12]}" if "samples_sha256" in run else None,
        "weights": f"sha256 {str(run['weights_sha256'])[:12]}" if "weights_sha256" in run else None,
        "tinymed": run.get("tinymed_version"),
        "date": run.get("date"),
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _sections(report: Report, settings: ReportSettings) -> list[Section]:
    comparison = comparison_section(report)
    sections = [] if comparison is None else [comparison]
    sections += [metrics_section(report), *parts_sections(report)]
    samples = _samples(report, settings)
    questions = {sample.id: sample.question for sample in samples or ()}
    sections.append(leakage_section(report.leakage, questions=questions))
    if settings.audit is not None:
        sections += audit_sections(_read_json(settings.audit / AUDIT_FILE, made_by="audit"))
    if settings.judge is not None:
        sections.append(judge_section(_read_json(settings.judge / JUDGE_FILE, made_by="judge")))
    sections.append(_errors_section(samples, settings))
    return [*sections, provenance_section(report), reading_section()]


def _errors_section(samples: Sequence[Sample] | None, settings: ReportSettings) -> Section:
    title, id_ = "The worst errors", "errors"
    predictions = _predictions(settings.folder, "model")
    if samples is None or predictions is None:
        missing = SAMPLES_FILE if samples is None else predictions_file(Path(), "model").name
        how = "; name them with --samples" if samples is None else ""
        gone = f"Not shown: the run folder holds no {missing}{how}."
        return Section(id=id_, title=title, blocks=(Text(paragraphs=(gone,)),))
    found = wrong_answers(
        samples,
        predictions,
        blank=_predictions(settings.folder, "blank") or (),
        with_images=settings.with_images,
    )
    if not found.answers:
        none = Text(paragraphs=("No answer is wrong.",))
        return Section(id=id_, title=title, blocks=(none,))
    patients = (_PATIENTS,) if any(one.image for one in found.answers) else ()
    return Section(id=id_, title=title, blocks=(Text(paragraphs=(_WRONG, *patients)), found))


def _samples(report: Report, settings: ReportSettings) -> list[Sample] | None:
    if settings.samples is None:
        path = settings.folder / SAMPLES_FILE
        return read_samples(path) if path.is_file() else None
    samples = read_samples(settings.samples)
    wanted = report.run.get("samples_sha256")
    if wanted is not None and samples_digest(samples) != wanted:
        raise DataError(
            f"'{settings.samples}' does not hold the samples of '{settings.folder}' "
            f"(sha256 {str(wanted)[:12]}…); name the file of that run."
        )
    return samples[: report.run.get("limit")]


def _predictions(folder: Path, condition: str) -> list[Prediction] | None:
    path = predictions_file(folder, condition)
    return read_predictions(path) if path.is_file() else None


def _read_json(path: Path, *, made_by: str) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"'{path.parent}' holds no {path.name}; name a folder of "
            f"`tinymed evaluate {made_by}` that is finished."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read '{path}': {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"'{path}' is not a JSON object.")
    return found
