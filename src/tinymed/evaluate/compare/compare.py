"""The whole comparison, and the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinymed.evaluate.compare.answers import Answers, read_answers
from tinymed.evaluate.compare.beside import Beside, beside_published
from tinymed.evaluate.compare.paired import Comparison, compare_with_first
from tinymed.published.rows import Scorer, scorers
from tinymed.records import NOTICE

_SETTINGS = (
    "model",
    "weights_sha256",
    "engine",
    "scheme",
    "prompt_template",
    "decoding",
    "max_new_tokens",
    "train",
    "seed",
    "tinymed_version",
)
"""What may differ between two runs that are compared, and is said."""
_SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Systems against the first of them, and all beside what was published."""

    comparisons: tuple[Comparison, ...]
    """Each further system against the first."""
    beside: Beside
    scorers: tuple[Scorer, ...]
    """The scorers that rows name."""
    notes: tuple[str, ...]


def compare_runs(
    paths: Sequence[Path], *, samples: Path | None = None, dataset: str | None = None
) -> Compared:
    """Compare run folders or files of predictions; the first is the reference.

    Args:
        paths: Run folders of `tinymed evaluate run`, or predictions made anywhere.
        samples: What was asked; needed for predictions alone and for old run folders.
        dataset: Whose published rows to show: a data set's name, "none", or None for the
            data set whose split the samples are.

    Raises:
        DataError: If the paths did not answer the same samples or cannot be read.
        ConfigError: If nothing was published here for a data set of this name.
    """
    found = read_answers(paths, samples=samples)
    beside = beside_published(found, dataset=dataset)
    comparisons = compare_with_first(found.answers) if len(found.answers) > 1 else ()
    first, *others = found.answers
    notes = [note for other in others if (note := _settings(first, other))]
    notes += _stale(found.answers, comparisons)
    named = {row.scorer for row in beside.rows}
    return Compared(
        comparisons=comparisons,
        beside=beside,
        scorers=tuple(one for one in scorers().values() if one.name in named),
        notes=tuple(notes),
    )


def _settings(first: Answers, other: Answers) -> str:
    """What differs between two runs, as their run.json says."""
    if first.run is None or other.run is None:
        return ""
    differences = [
        f"{name} ({_short(first.run.get(name))}, {_short(other.run.get(name))})"
        for name in _SETTINGS
        if first.run.get(name) != other.run.get(name)
    ]
    what = ", ".join(differences) or "nothing that run.json records"
    return f"Between {first.label} and {other.label} differ: {what}."


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == len("0" * 64) else repr(value)


def _stale(answers: Sequence[Answers], comparisons: Sequence[Comparison]) -> list[str]:
    """Runs whose scores.json is not what their predictions give now."""
    notes = []
    for each in answers if comparisons else ():
        stored = {
            one.metric: one.value for one in each.conditions["model"] if "=" not in one.subset
        }
        now = {
            difference.metric: difference.reference
            if each.label == one.reference
            else difference.other
            for one in comparisons
            if each.label in (one.reference, one.other)
            for difference in one.differences
        }
        changed = [
            name for name, value in now.items() if abs(stored.get(name, value) - value) > _SAME
        ]
        if changed:
            notes.append(
                f"{each.label}: its scores.json gives another {', '.join(changed)} than its "
                "predictions do now; run the evaluation into a new folder."
            )
    return notes


def compared_json(compared: Compared) -> dict[str, Any]:
    """A comparison as JSON; values, intervals and differences are fractions, rows are percent."""
    return {
        "notice": NOTICE,
        "comparisons": [
            {**asdict(one), "are_identical": one.are_identical} for one in compared.comparisons
        ],
        "table": asdict(compared.beside),
        "scorers": [asdict(one) for one in compared.scorers],
        "notes": list(compared.notes),
    }
