"""The tables of a model card, from evaluation runs.

Example:
    python benchmarks/model_card.py "VQA-RAD test=runs/eval-rad" "SLAKE validation=runs/eval-slake"
"""

# ruff: noqa: T201  # a script that prints its tables

from __future__ import annotations

import sys
from pathlib import Path

from tinymed.evaluate.report.against_controls import best_control
from tinymed.evaluate.report.figures import find_scores, heading
from tinymed.evaluate.report.report import HEADINGS, Report, read_report
from tinymed.records import Score

ROWS = {
    "closed_accuracy": "closed, accuracy (honest)",
    "open_recall": "open, recall (honest)",
    "open_exact_match": "open, exact match (honest)",
    "llava_med_closed_published": "closed, as published (`llava_med_closed_published`)",
    "llava_med_open_recall": "open, as published (`llava_med_open_recall`)",
}


def main() -> None:
    """Print a table for each TITLE=FOLDER."""
    for argument in sys.argv[1:]:
        title, _, folder = argument.partition("=")
        print(table(title, read_report(Path(folder))), end="\n\n")


def table(title: str, report: Report) -> str:
    """One run as a Markdown table: percent, with 95 % intervals for model and gain."""
    controls = [name for name in HEADINGS if name in report.conditions and name != "model"]
    run = report.run
    titles = ["", "n", "model", *map(heading, controls), "gain over the best of them"]
    lines = [
        (
            f"**{title}**: {report.num_samples} questions, "
            f"sha256 `{run['samples_sha256'][:12]}`, weights `{run['weights_sha256'][:12]}`"
        ),
        "",
        "| " + " | ".join(titles) + " |",
        "|" + "---|" * len(titles),
    ]
    for metric, label in ROWS.items():
        scores = find_scores(report, metric)
        model = scores["model"]
        values = [f"{100 * scores[name].value:.1f}" for name in controls]
        cells = [label, str(model.num_samples), _with_interval(model), *values]
        lines.append("| " + " | ".join([*cells, _gain(report, scores)]) + " |")
    unparsed = find_scores(report, "closed_accuracy")["model"].num_unparsed
    lines += ["", f"Closed answers that could not be judged, counted as wrong: {unparsed}."]
    return "\n".join(lines)


def _with_interval(score: Score) -> str:
    low, high = score.interval
    return f"{100 * score.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _gain(report: Report, scores: dict[str, Score]) -> str:
    best = best_control(scores)
    gain = None if best is None else report.gain(*best)
    if gain is None:
        return "–"
    low, high = gain.interval
    return f"{100 * gain.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


if __name__ == "__main__":
    main()
