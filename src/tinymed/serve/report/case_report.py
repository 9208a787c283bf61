"""A case as it leaves the server: what was asked, answered and judged, and by what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tinymed import __version__
from tinymed.records import NOTICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """By whom a case is exported, and what answered in it."""

    by: str
    """The user's name; "" on a computer of one's own."""
    at: datetime
    model: str
    scheme: str
    weights_sha256: str


def case_report(case: Mapping[str, Any], exported: Exported) -> dict[str, Any]:
    """Put a case, as the API shows it, together with what a reader elsewhere has to know."""
    at = exported.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "notice": NOTICE,
        "exported": {"by": exported.by, "at": at},
        "program": f"tinymed {__version__}",
        "model": {
            "name": exported.model,
            "scheme": exported.scheme,
            "weights_sha256": exported.weights_sha256,
        },
        **case,
    }


def case_json(report: Mapping[str, Any]) -> bytes:
    """A report as a JSON file, every word as it was written."""
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    # Half a surrogate pair, which JSON can bring, has no UTF-8; as an escape it is JSON again.
    return text.encode("utf-8", "backslashreplace")
