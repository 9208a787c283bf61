"""The tables of a model card, from the `scores.json` of evaluation runs.

Example:
    python benchmarks/model_card.py "VQA-RAD test=runs/eval-rad" "SLAKE validation=runs/eval-slake"
"""

# ruff: noqa: T201  # a script that prints its tables

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROWS = {
    "closed_accuracy": "closed, accuracy (honest)",
    "open_recall": "open, recall (honest)",
    "open_exact_match": "open, exact match (honest)",
    "llava_med_closed_published": "closed, as published (`llava_med_closed_published`)",
    "llava_med_open_recall": "open, as published (`llava_med_open_recall`)",
}
CONDITIONS = {
    "model": "model",
    "question-only": "question only",
    "blank": "blanked",
    "shuffled": "shuffled",
}


def main() -> None:
    """Print a table for each TITLE=FOLDER."""
    for argument in sys.argv[1:]:
        title, _, folder = argument.partition("=")
        report = json.loads((Path(folder) / "scores.json").read_text(encoding="utf-8"))
        print(table(title, report), end="\n\n")


def table(title: str, report: dict[str, Any]) -> str:
    """One run as a Markdown table, percent with 95 % intervals."""
    scores = {
        condition: {score["metric"]: score for score in rows}
        for condition, rows in report["conditions"].items()
    }
    shown = [condition for condition in CONDITIONS if condition in scores]
    run = report["run"]
    lines = [
        (
            f"**{title}**: {report['num_samples']} questions, "
            f"sha256 `{run['samples_sha256'][:12]}`, weights `{run['weights_sha256'][:12]}`"
        ),
        "",
        "| | n | " + " | ".join(CONDITIONS[condition] for condition in shown) + " |",
        "|---|---|" + "---|" * len(shown),
    ]
    for metric, label in ROWS.items():
        cells = [_cell(scores[condition].get(metric)) for condition in shown]
        count = scores["model"][metric]["num_samples"]
        lines.append(f"| {label} | {count} | " + " | ".join(cells) + " |")
    unparsed = scores["model"]["closed_accuracy"]["num_unparsed"]
    lines += ["", f"Closed answers that could not be judged, counted as wrong: {unparsed}."]
    return "\n".join(lines)


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return "–"
    low, high = score["interval"]
    return f"{100 * score['value']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    main()
