"""The parity gate's verdict on a build, kept beside it and asked for before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.build import Build
from tinymed.runs import write_json

PARITY = "parity.json"


def write_parity(build: Build, report: dict[str, Any]) -> None:
    """Keep a report beside the build it is about; it holds for these very bytes only."""
    write_json(build.folder / PARITY, {"build_digest": build.digest, **report})


def read_parity(build: Build) -> dict[str, Any] | None:
    """The report on a build, or on a build of the same bytes that ships with tinymed."""
    for path in (build.folder / PARITY, _shipped(build)):
        try:
            report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(report, dict) and report.get("build_digest") == build.digest:
            return report
    return None


def require_parity(build: Build, *, address: str, forced: str | None = None) -> None:
    """Refuse a build that the gate failed, or never saw.

    Args:
        build: What is about to be used.
        address: How a person reaches it: a model's folder has a name that says too little.
        forced: The name of a build that may be used all the same: "MODEL:SCHEME", exactly.

    Raises:
        ModelError: If it did not pass and is not the one forced.
    """
    name = build.name
    report = read_parity(build)
    if (report is not None and report.get("passed") is True) or forced == name:
        return
    if report is None:
        reason = "has not been compared with the model it was made from"
        remedy = f"Run: tinymed models check {address}"
    else:
        reasons = "; ".join(map(str, report.get("reasons", []))) or "no reason given"
        reason = f"answers differently from the model it was made from ({reasons})"
        remedy = f"Choose another scheme, or take it all the same with: --force-build {name}"
    raise ModelError(f"The build '{name}' {reason}. {remedy}")


def _shipped(build: Build) -> Path:
    return Path(__file__).parent / "shipped" / build.model / f"parity-{build.scheme}.json"
