"""What an audit found, as JSON and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinymed.evaluate.audit.abstention import Abstention, Declined
from tinymed.evaluate.audit.calibration import Calibration, calibration_json
from tinymed.evaluate.audit.confidence import Confidence
from tinymed.evaluate.audit.image_use import ImageUse
from tinymed.evaluate.audit.polarity import Polarity
from tinymed.pages.aligned import aligned
from tinymed.records import NOTICE

AUDIT_FILE = "audit.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found, and what it was measured on."""

    run: Mapping[str, Any]
    """What run.json says."""
    num_samples: int
    image_use: tuple[ImageUse, ...]
    polarity: Polarity
    confidence: tuple[Confidence, ...]
    calibration: Calibration | None
    """None without a calibration split."""
    abstention: tuple[Abstention, ...]
    """Empty without a calibration split."""
    declined: tuple[Declined, ...]
    warnings: tuple[str, ...] = ()
    """What a reader must know before believing a number."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""


def audit_json(audit: Audit) -> dict[str, Any]:
    """An audit as JSON, as `audit.json` holds it; the package's docstring tells the schema."""
    found = {"notice": NOTICE, **asdict(audit)}
    if audit.calibration is not None:
        found["calibration"] = calibration_json(audit.calibration)
    plain: dict[str, Any] = _plain(found)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def audit_text(audit: Audit) -> str:
    """An audit as text: a table a part, and what a reader must know to believe it."""
    run = audit.run
    first = "" if run["limit"] is None else f", the first {run['limit']} only"
    lines = [
        *(f"Warning: {warning}" for warning in audit.warnings),
        *_image_use_lines(audit.image_use),
        *_polarity_lines(audit.polarity),
        *_confidence_lines(audit.confidence),
        *_calibration_lines(audit.calibration),
        *_abstention_lines(audit.abstention),
        *_declined_lines(audit.declined),
        "",
        (
            f"{run['model']} on {run['engine']}; split {run['samples']} "
            f"(sha256 {run['samples_sha256'][:12]}){first}; {audit.num_samples} samples; "
            f"decoding {run['decoding']}, at most {run['max_new_tokens']} tokens. "
            "In brackets: 95 % interval, whole groups resampled."
        ),
        *audit.notes,
        NOTICE,
    ]
    return "\n".join(lines)


def _image_use_lines(rows: Sequence[ImageUse]) -> list[str]:
    table = [["image use, percent", "unchanged", "accuracy", "own image", "lost", "n"]]
    for row in rows:
        figures = (row.unchanged, row.accuracy, row.own_accuracy, row.accuracy_lost)
        cells = [figure.in_words() for figure in figures]
        num_samples = str(row.unchanged.num_samples)
        table.append([f"  {row.condition}, {row.subset}", *cells, num_samples])
    return [*aligned(table), *(f"  {row.verdict}" for row in rows if row.subset == "closed")]


def _polarity_lines(polarity: Polarity) -> list[str]:
    if not polarity.rows:
        return []
    names = [
        "contradiction",
        "always_yes",
        "always_no",
        "undecided",
        "pair_accuracy",
        "presence_accuracy",
        "absence_accuracy",
    ]
    table = [["polarity, percent of pairs", *(row.form for row in polarity.rows)]]
    table += [
        [f"  {name}", *(getattr(row, name).in_words() for row in polarity.rows)] for name in names
    ]
    table.append(["  n", *(str(row.contradiction.num_samples) for row in polarity.rows)])
    used = (
        f"  {polarity.num_used} of {polarity.num_closed_yes_no} closed questions of yes or no "
        f"({polarity.share_used:.0%}) have an opposite that a rule is sure of."
    )
    return ["", *aligned(table), used]


def _confidence_lines(rows: Sequence[Confidence]) -> list[str]:
    names = [f"{row.subset}, {row.kind}" for row in rows]
    table = [
        ["confidence", *names],
        ["  mean", *(f"{row.mean_confidence:.3f}" for row in rows)],
        ["  accuracy, %", *(row.accuracy.in_words() for row in rows)],
        ["  ECE (15 bins)", *(f"{row.ece:.3f}" for row in rows)],
        ["  ECE (15 bins, equal mass)", *(f"{row.ece_equal_mass:.3f}" for row in rows)],
        ["  Brier", *(row.brier.in_words(scale=1, digits=3) for row in rows)],
        ["  AUROC", *(row.auroc.in_words(scale=1, digits=3) for row in rows)],
        ["  AURC", *(f"{row.aurc:.3f}" for row in rows)],
        ["  accuracy at 80 % coverage, %", *(row.accuracy_at_80.in_words() for row in rows)],
        ["  n", *(str(row.num_samples) for row in rows)],
    ]
    reasons = [
        f"  No AUROC for {row.subset} questions: {row.auroc.reason}"
        for row in rows
        if row.auroc.reason and row.kind == "raw"
    ]
    bias = "  ECE is biased upwards where bins hold few answers; it has no interval."
    return ["", *aligned(table), *reasons, bias]


def _calibration_lines(calibration: Calibration | None) -> list[str]:
    if calibration is None:
        return []
    lines = ["", f"calibration (Platt) on {calibration.split}"]
    for answer_type, found in calibration.by_type.items():
        fitted = (
            f"not calibrated: {found.reason}"
            if found.a is None
            else f"a = {found.a:.3f}, b = {found.b:.3f}"
        )
        lines.append(f"  {answer_type}: {fitted} ({found.num_right} right of {found.num_samples})")
    return lines


def _abstention_lines(rows: Sequence[Abstention]) -> list[str]:
    if not rows:
        return []
    headings = "threshold", "answered", "right of them", "wrong withheld", "right withheld"
    table = [["abstention, percent", *headings]]
    reasons = []
    for row in rows:
        name = f"{row.subset}, {row.policy} {100 * row.target:g} %"
        if row.threshold is None:
            reasons.append(f"  {name}: {row.reason}")
            continue
        figures = (row.coverage, row.accuracy, row.wrong_withheld, row.right_withheld)
        cells = [figure.in_words() for figure in figures if figure is not None]
        table.append([f"  {name}", f"{row.threshold.value:.4f}", *cells])
    return ["", *aligned(table), *reasons]


def _declined_lines(rows: Sequence[Declined]) -> list[str]:
    table = [["declined by the model itself", "refusals", "undecided", "n"]]
    table += [
        [f"  {row.subset}", str(row.num_refusals), str(row.num_undecided), str(row.num_samples)]
        for row in rows
    ]
    return ["", *aligned(table)]
