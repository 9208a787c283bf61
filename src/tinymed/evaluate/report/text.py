"""A report as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinymed.evaluate.report.against_controls import summary
from tinymed.evaluate.report.metric_notes import standing
from tinymed.evaluate.report.report import HEADINGS, Report
from tinymed.pages.aligned import aligned
from tinymed.records import NOTICE, Score

_WHOLE = ("all", "open", "closed")
_IN_PARTS = ("closed_accuracy", "open_recall")


def report_text(report: Report) -> str:
    """A report as text: the tables and what a reader must know to believe them."""
    lines = [
        *(f"warning: {warning}" for warning in report.warnings),
        *([""] if report.warnings else []),
        scores_table(report.conditions),
        "",
        *(sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in summary(report)),
        "",
        *_parts_table(report.conditions["model"]),
        _what_was_measured(report),
        *report.notes,
        NOTICE,
    ]
    return "\n".join(lines)


def _what_was_measured(report: Report) -> str:
    run = report.run
    split = f"{run['samples']} (sha256 {run['samples_sha256'][:12]})"
    if "model" not in run:
        return f"{run['predictions']}; split {split}; {report.num_samples} samples."
    first = "" if run["limit"] is None else f", the first {run['limit']} only"
    return (
        f"{run['model']} on {run['engine']}; split {split}{first}; "
        f"{report.num_samples} samples; decoding {run['decoding']}, "
        f"at most {run['max_new_tokens']} tokens."
    )


def scores_table(conditions: Mapping[str, Sequence[Score]]) -> str:
    """One row a metric over its whole subset; the model's interval, the controls' values.

    n and the number of unparsed answers are the model's.
    """
    by_name = {
        name: {score.metric: score for score in scores if score.subset in _WHOLE}
        for name, scores in conditions.items()
    }
    model, *controls = by_name.values()
    headings = [HEADINGS[name].split(" ") for name in conditions]
    tops = [words[0] if len(words) > 1 else "" for words in headings]
    rows = [
        ["", "", "", "", *tops[1:]],
        ["percent", "n", "unparsed", "[95 % interval]", *(words[-1] for words in headings[1:])],
    ]
    for title, is_published in (("published:", True), ("honest:", False)):
        rows.append([title] + [""] * (len(rows[0]) - 1))
        for metric, score in model.items():
            if (standing(metric) == "published") != is_published:
                continue
            unparsed = "" if is_published else str(score.num_unparsed)
            values = [_percent(control.get(metric)) for control in controls]
            rows.append(
                [f"  {metric}", str(score.num_samples), unparsed, _with_interval(score), *values]
            )
    return "\n".join(aligned(rows))


def _parts_table(scores: Sequence[Score]) -> list[str]:
    """Closed accuracy and open recall of each part; no lines where there are no parts."""
    parts: dict[str, dict[str, Score]] = {}
    for score in scores:
        if score.subset not in _WHOLE:
            parts.setdefault(score.subset, {})[score.metric] = score
    if not parts:
        return []
    rows = [["", *(cell for metric in _IN_PARTS for cell in ("n", metric))]]
    for part, by_metric in parts.items():
        cells = [f"  {part}"]
        for metric in _IN_PARTS:
            found = by_metric.get(metric)
            cells += ["", "-"] if found is None else [str(found.num_samples), _with_interval(found)]
        rows.append(cells)
    return ["\n".join(aligned(rows)), ""]


def _percent(score: Score | None) -> str:
    return "-" if score is None else f"{100 * score.value:.1f}"


def _with_interval(score: Score) -> str:
    low, high = score.interval
    return f"{100 * score.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
