"""What an evaluation found, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.evaluate.gains import Gain
from tinymed.evaluate.run_folder import SCORES_FILE
from tinymed.records import NOTICE, Score

HEADINGS = {
    "model": "model",
    "always-yes": "always yes",
    "always-no": "always no",
    "question-only": "question only",
    "nearest-question": "nearest question",
    "blank": "image blanked",
    "shuffled": "images shuffled",
}
"""What each condition is called in a table, in the order of its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The scores of a model and of its controls, and what they were measured on."""

    run: Mapping[str, Any]
    """What run.json says."""
    conditions: Mapping[str, Sequence[Score]]
    """Scores under each condition of HEADINGS, as far as measured."""
    num_samples: int
    gains: Mapping[str, Sequence[Gain]] = field(default_factory=dict)
    """The model's scores less those of each other condition, paired."""
    leakage: Mapping[str, Any] | None = None
    """What the samples share with the train samples, where these were given."""
    warnings: tuple[str, ...] = ()
    """What a reader must know before believing a number."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    def gain(self, condition: str, score: Score) -> Gain | None:
        """The model's gain over a condition under a score's metric and subset."""
        wanted = (score.metric, score.subset)
        found = (one for one in self.gains.get(condition, ()) if (one.metric, one.subset) == wanted)
        return next(found, None)


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


def score_from_json(row: Mapping[str, Any]) -> Score:
    """The score that `score_json` wrote."""
    low, high = row["interval"]
    return Score(
        metric=row["metric"],
        subset=row["subset"],
        value=row["value"],
        interval=(low, high),
        num_samples=row["num_samples"],
        num_unparsed=row["num_unparsed"],
    )


def gain_json(gain: Gain) -> dict[str, Any]:
    """One gain as JSON; value and interval are differences of fractions."""
    return {
        "metric": gain.metric,
        "subset": gain.subset,
        "value": gain.value,
        "interval": list(gain.interval),
    }


def gain_from_json(row: Mapping[str, Any]) -> Gain:
    """The gain that `gain_json` wrote."""
    low, high = row["interval"]
    return Gain(
        metric=row["metric"], subset=row["subset"], value=row["value"], interval=(low, high)
    )


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
        "gains": {
            condition: [gain_json(gain) for gain in gains]
            for condition, gains in report.gains.items()
        },
        "leakage": None if report.leakage is None else dict(report.leakage),
        "warnings": list(report.warnings),
        "notes": list(report.notes),
    }


def read_report(folder: Path) -> Report:
    """Read back the report of a finished run.

    Raises:
        DataError: If the folder holds no finished run.
    """
    path = folder / SCORES_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Report(
            run=found["run"],
            conditions={
                condition: [score_from_json(row) for row in rows]
                for condition, rows in found["conditions"].items()
            },
            num_samples=found["num_samples"],
            gains={
                condition: [gain_from_json(row) for row in rows]
                for condition, rows in found.get("gains", {}).items()
            },
            leakage=found.get("leakage"),
            warnings=tuple(found.get("warnings", ())),
            notes=tuple(found["notes"]),
        )
    except FileNotFoundError as error:
        raise DataError(
            f"'{folder}' holds no {SCORES_FILE}: its run is not finished, or it is no run folder "
            "of `tinymed evaluate run`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"'{path}' is not a report of `tinymed evaluate run`.") from error
