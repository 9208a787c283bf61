"""Cases for tests of the report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tinymed.records import NOTICE
from tinymed.serve.report.case_report import Exported, case_report

EXPORTED = Exported(
    by="ama",
    at=datetime(2026, 11, 22, 14, 30, tzinfo=UTC),
    model="nano",
    scheme="openvino-int8",
    weights_sha256="5f" * 32,
)
BLURRED = {
    "code": "blurred",
    "gate": "quality",
    "withholds": False,
    "detail": "The picture is blurred.",
    "figures": {"sharpness": 0.1},
}


def answer(**changed: Any) -> dict[str, Any]:
    """An answer, as the API shows it."""
    return {
        "question": "Is there an effusion?",
        "kind": "yes-no",
        "text": "yes",
        "is_withheld": False,
        "finding": "present",
        "confidence": 0.93,
        "calibrated": {"probability": 0.81, "num_samples": 422, "split": "SLAKE validation"},
        "alerts": [BLURRED],
        "gates": [
            {"gate": "quality", "mode": "warn", "outcome": "warned", "why": "blurred"},
            {"gate": "polarity", "mode": "withhold", "outcome": "passed", "why": ""},
            {"gate": "blank", "mode": "off", "outcome": "not-applicable", "why": "off"},
        ],
        "finish_reason": "stop",
        "notice": NOTICE,
    } | changed


def entry(question: str = "Is there an effusion?", **changed: Any) -> dict[str, Any]:
    """A question with its answer, as the API shows it."""
    return {
        "id": "q1",
        "asked_at": "2026-11-22T14:00:00Z",
        "question": question,
        "frame": 0,
        "own_read": "",
        "answer": answer(),
        "timings": {"wait_ms": 0.0, "encode_ms": 450.0, "first_text_ms": 700.0, "total_ms": 1240.0},
        "verdicts": [],
    } | changed


def verdict(**changed: Any) -> dict[str, Any]:
    """A clinician's, as the API shows it."""
    given = {"decision": "reject", "reason": "", "text": "", "user": "kofi"}
    return given | {"at": "2026-11-22T14:05:00Z"} | changed


def report(*history: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A case's report."""
    image = {
        "sha256": "ab" * 32,
        "source": "dicom",
        "width": 2022,
        "height": 2022,
        "num_frames": 1,
        "frame": 0,
        "notes": ["window center 2048, width 4096"],
        "modality": "CR",
        "body_part": "CHEST",
    }
    case = {"case": "k3v9x2m4p7q8", "image": image, "alerts": [], "history": list(history)}
    return case_report(case, EXPORTED) | changed
