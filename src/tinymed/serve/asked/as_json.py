"""What clients see of images, alerts and answers, as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tinymed.safe.gate import Alert
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.events import Timings
from tinymed.serve.asked.question import Verdict
from tinymed.serve.cases.stored_image import StoredImage

_NOT_SHOWN = ("model_text", "tokens", "num_prompt_tokens", "num_tokens")


def image_json(image: StoredImage) -> dict[str, Any]:
    """A case's image; nothing in it can tell who the patient is."""
    return {
        "sha256": image.sha256,
        "source": image.source,
        "width": image.width,
        "height": image.height,
        "num_frames": image.num_frames,
        "frame": image.first_frame,
        "notes": list(image.notes),
        "modality": image.facts.modality,
        "body_part": image.facts.body_part,
    }


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert."""
    return {
        "code": alert.code,
        "gate": alert.gate,
        "withholds": alert.withholds,
        "detail": alert.detail,
        "figures": dict(alert.figures),
    }


def answer_json(answer: SafeAnswer) -> dict[str, Any]:
    """An answer as it is shown: without what the model said behind a closed gate."""
    row = {name: getattr(answer, name) for name in SafeAnswer.__slots__ if name not in _NOT_SHOWN}
    row["calibrated"] = asdict(answer.calibrated) if answer.calibrated is not None else None
    row["alerts"] = [alert_json(alert) for alert in answer.alerts]
    row["gates"] = [asdict(outcome) for outcome in answer.gates]
    return row


def timings_json(timings: Timings) -> dict[str, float]:
    """Where an answer's time went, in ms to a tenth."""
    return {name: round(value, 1) for name, value in asdict(timings).items()}


def verdict_json(verdict: Verdict, *, user: str) -> dict[str, Any]:
    """A verdict that was just given."""
    return {
        "decision": verdict.decision,
        "reason": verdict.reason,
        "text": verdict.text,
        "at": utc_now(),
        "user": user,
    }


def utc_now() -> str:
    """The time, to the second, such as 2026-11-22T14:00:00Z."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
