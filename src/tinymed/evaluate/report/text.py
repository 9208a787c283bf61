"""Scores as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinymed.evaluate.metrics.table import METRICS
from tinymed.evaluate.report.report import HEADINGS, Report
from tinymed.records import NOTICE, Score

_HONEST = {metric.name for metric in METRICS if not metric.is_published}


def report_text(report: Report) -> str:
    """A report as text: the table and what a reader must know to believe it."""
    run = report.run
    split = f"{run['samples']} (sha256 {run['samples_sha256'][:12]})"
    first = "" if run["limit"] is None else f", the first {run['limit']} only"
    lines = [
        scores_table(report.conditions),
        "",
        (
            f"{run['model']} on {run['engine']}; split {split}{first}; "
            f"{report.num_samples} samples; decoding {run['decoding']}, "
            f"at most {run['max_new_tokens']} tokens."
        ),
        *report.notes,
        NOTICE,
    ]
    return "\n".join(lines)


def scores_table(conditions: Mapping[str, Sequence[Score]]) -> str:
    """One row a metric, one column a condition: percent and 95 % interval.

    n and the number of unparsed answers are those of the first condition.
    """
    names = list(conditions)
    by_name = {
        name: {score.metric: score for score in scores} for name, scores in conditions.items()
    }
    first = by_name[names[0]]
    rows = [["percent [95 % interval]", *(HEADINGS.get(name, name) for name in names)]]
    rows[0] += ["n", "unparsed"]
    for title, wanted in (("published", False), ("honest", True)):
        rows.append([title + ":"] + [""] * (len(names) + 2))
        for metric, score in first.items():
            if (metric in _HONEST) != wanted:
                continue
            cells = [_cell(by_name[name].get(metric)) for name in names]
            unparsed = str(score.num_unparsed) if wanted else ""
            rows.append([f"  {metric}", *cells, str(score.num_samples), unparsed])
    return _aligned(rows)


def _cell(score: Score | None) -> str:
    if score is None:
        return "-"
    low, high = score.interval
    return f"{100 * score.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        name, *cells = row
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)
