"""What an evaluation found, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinymed.records import NOTICE, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The scores of a model and of its controls, and what they were measured on."""

    run: Mapping[str, Any]
    """What run.json says."""
    conditions: Mapping[str, Sequence[Score]]
    """Scores under "model", "question-only", "blank" and "shuffled", as far as measured."""
    num_samples: int
    notes: tuple[str, ...] = ()
    """What was left out, and why."""


def score_json(score: Score) -> dict[str, Any]:
    """One score as JSON; value and interval are fractions in [0, 1]."""
    return {
        "metric": score.metric,
        "subset": score.subset,
        "value": score.value,
        "interval": list(score.interval),
        "num_samples": score.num_samples,
        "num_unparsed": score.num_unparsed,
    }


def scores_json(scores: Sequence[Score], *, num_samples: int) -> dict[str, Any]:
    """Scores of one set of predictions as JSON."""
    return {"num_samples": num_samples, "scores": [score_json(score) for score in scores]}


def report_json(report: Report) -> dict[str, Any]:
    """A whole report as JSON, as `scores.json` holds it."""
    return {
        "notice": NOTICE,
        "run": dict(report.run),
        "num_samples": report.num_samples,
        "conditions": {
            condition: [score_json(score) for score in scores]
            for condition, scores in report.conditions.items()
        },
        "notes": list(report.notes),
    }
