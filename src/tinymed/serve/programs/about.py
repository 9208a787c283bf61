"""What a safe answer says beyond its text, for programs that look for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymed.serve.asked.as_json import answer_json
from tinymed.serve.asked.events import Answered

_ABOUT = (
    "notice",
    "kind",
    "is_withheld",
    "finding",
    "confidence",
    "calibrated",
    "alerts",
    "gates",
)


def about(answered: Answered, not_used: Sequence[str]) -> dict[str, Any]:
    """The field `tinymed` of an answer in another's shape.

    Args:
        answered: The answer.
        not_used: What of the request played no part.
    """
    row = answer_json(answered.answer)
    return {
        "id": answered.id,
        **{name: row[name] for name in _ABOUT},
        "not_used": list(not_used),
    }
