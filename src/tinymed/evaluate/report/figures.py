"""Scores as they stand on a page: percent, interval, dot."""

from __future__ import annotations

from tinymed.evaluate.report.report import HEADINGS, Report
from tinymed.pages.document import Cell, Mark
from tinymed.records import Score

MODEL = "model"
FEW_SAMPLES = 20
"""Below so many samples a figure is shown greyed: it tells next to nothing."""


def percent(fraction: float) -> str:
    """A fraction as percent with one decimal.

    >>> percent(0.76303)
    '76.3'
    """
    return f"{100 * fraction:.1f}"


def interval(score: Score) -> str:
    """The interval of a score in percent, with a blank at which no line breaks.

    >>> interval(Score(metric="m", subset="all", value=0.5, interval=(0.4, 0.6), num_samples=9,
    ...                num_unparsed=0))
    '[40.0,\\xa060.0]'
    """
    low, high = score.interval
    return f"[{percent(low)},\N{NO-BREAK SPACE}{percent(high)}]"


def mark(score: Score, *, is_model: bool) -> Mark:
    """A score as a dot with its interval."""
    low, high = score.interval
    return Mark(value=score.value, low=low, high=high, is_model=is_model)


def score_cell(score: Score | None, *, is_strong: bool = False) -> Cell:
    """A score as a cell: percent over interval, a dash where there is none."""
    if score is None:
        return Cell(text="–")
    return Cell(text=percent(score.value), detail=interval(score), is_strong=is_strong)


def conditions_of(report: Report) -> list[str]:
    """The measured conditions: those of HEADINGS in its order, then any other."""
    known = [condition for condition in HEADINGS if condition in report.conditions]
    return known + [condition for condition in report.conditions if condition not in HEADINGS]


def heading(condition: str) -> str:
    """What a condition is called on a page.

    >>> heading("blank")
    'image blanked'
    """
    return HEADINGS.get(condition, condition.replace("-", " "))


def find_scores(report: Report, metric: str, subset: str | None = None) -> dict[str, Score]:
    """The score of each condition under a metric: over all it judges, or over one subset."""
    wanted = ("all", "open", "closed") if subset is None else (subset,)
    return {
        condition: score
        for condition in conditions_of(report)
        for score in report.conditions[condition]
        if score.metric == metric and score.subset in wanted
    }
