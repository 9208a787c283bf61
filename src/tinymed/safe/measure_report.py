"""What the gates cost, as JSON, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tinymed.pages.aligned import aligned
from tinymed.pages.document import Cell, Column, Document, Row, RowGroup, Section, Table, Text
from tinymed.pages.markdown import report_markdown
from tinymed.records import NOTICE
from tinymed.safe.costs import CostRow, by_kind
from tinymed.safe.policy import SafetyPolicy

_HEADINGS = ("answered", "right of them", "wrong withheld", "right withheld")
_HOW_TO_READ = (
    "Percent, with the 95 % interval in brackets, whole groups of images resampled. Each row: "
    "those gates withhold, all others are off; \u201cas shipped\u201d is what the defaults do. "
    "\u201cright of them\u201d is the accuracy among the questions answered; the last two columns "
    "are shares of all wrong and of all right answers."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the gates cost on one split."""

    split: str
    rows: tuple[CostRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesReport:
    """What was chosen on the validation split, and what it costs there and on the test."""

    run: Mapping[str, Any]
    """What run.json says."""
    policy: SafetyPolicy
    measured: tuple[Measured, ...]
    """The validation split first."""
    notes: tuple[str, ...] = ()
    """What a reader must know before believing a number."""


def gates_json(report: GatesReport) -> dict[str, Any]:
    """A report as JSON, as `gates.json` holds it."""
    return {"notice": NOTICE, **asdict(report)}


def gates_text(report: GatesReport) -> str:
    """A report as text: what was chosen, then a table a split and kind of question."""
    lines = [f"Warning: {note}" for note in report.notes]
    lines += [*_chosen_lines(report.policy)]
    for part in report.measured:
        for kind, rows in by_kind(part.rows).items():
            if rows:
                title = f"{part.split}, {_questions(kind)} (n = {rows[0].coverage.num_samples})"
                table = [[title, *_HEADINGS], *([f"  {row.gates}", *_cells(row)] for row in rows)]
                lines += ["", *aligned(table)]
    return "\n".join([*lines, "", _HOW_TO_READ, NOTICE])


def gates_markdown(report: GatesReport) -> str:
    """A report as Markdown, for a model card."""
    run = report.run
    chosen = Text(paragraphs=tuple(line.strip() for line in _chosen_lines(report.policy)))
    sections = [Section(id="chosen", title="Chosen on the validation split", blocks=(chosen,))]
    for at, part in enumerate(report.measured):
        tables = tuple(_table(kind, rows) for kind, rows in by_kind(part.rows).items() if rows)
        sections.append(Section(id=f"split-{at}", title=part.split, blocks=tables))
    return report_markdown(
        Document(
            title=f"What the gates of {run['model']} cost",
            kind="Gates",
            facts={
                "model": f"{run['model']}:{run['scheme']}",
                "weights": run["weights_sha256"][:12],
                "samples": f"{run['samples']} (sha256 {run['samples_sha256'][:12]})",
                "test": "none"
                if run["test"] is None
                else f"{run['test']} (sha256 {run['test_sha256'][:12]})",
                "limit": "none" if run["limit"] is None else str(run["limit"]),
            },
            notice=NOTICE,
            warnings=report.notes,
            summary=(_HOW_TO_READ,),
            sections=tuple(sections),
        )
    )


def _table(kind: str, rows: list[CostRow]) -> Table:
    return Table(
        caption=f"{_questions(kind)}, {rows[0].coverage.num_samples} of them",
        columns=(Column(title="gates", kind="text"), *(Column(title=name) for name in _HEADINGS)),
        groups=(
            RowGroup(
                rows=tuple(
                    Row(cells=(Cell(text=row.gates), *(Cell(text=cell) for cell in _cells(row))))
                    for row in rows
                )
            ),
        ),
    )


def _questions(kind: str) -> str:
    return "all questions" if kind == "all" else f"{kind} questions"


def _chosen_lines(policy: SafetyPolicy) -> list[str]:
    lines = [f"chosen on {policy.split}, for an accuracy of {100 * policy.target_accuracy:g} %"]
    for answer_type, chosen in policy.thresholds.items():
        fitted = policy.calibration[answer_type]
        found = chosen.threshold
        threshold = (
            f"no threshold: {chosen.reason}"
            if found is None
            else f"threshold {found.value:.4f} (answers {100 * found.coverage:.1f} %, "
            f"{100 * found.accuracy:.1f} % of them right)"
        )
        calibration = (
            f"not calibrated: {fitted.reason}"
            if fitted.platt is None
            else f"calibration a = {fitted.a:.3f}, b = {fitted.b:.3f}"
        )
        right = f"{fitted.num_right} right of {fitted.num_samples}"
        lines.append(f"  {answer_type}: {threshold}; {calibration} ({right})")
    return lines


def _cells(row: CostRow) -> list[str]:
    figures = (row.coverage, row.accuracy, row.wrong_withheld, row.right_withheld)
    return [figure.in_words() for figure in figures]
