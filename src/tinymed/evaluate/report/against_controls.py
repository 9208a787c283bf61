"""Whether a model beats the answers that do not see the image, in sentences made by rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinymed.evaluate.report.figures import (
    FEW_SAMPLES,
    MODEL,
    find_scores,
    heading,
    interval,
    percent,
)
from tinymed.evaluate.report.report import Report
from tinymed.records import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wording:
    metric: str
    of_model: str
    of_control: str


_WORDINGS = (
    _Wording(
        metric="closed_accuracy",
        of_model="On closed questions the model is right in {figure}",
        of_control="is right in {figure}",
    ),
    _Wording(
        metric="open_recall",
        of_model="On open questions the model's answers hold {figure} of the reference's words",
        of_control="holds {figure}",
    ),
)


def best_control(scores: Mapping[str, Score]) -> tuple[str, Score] | None:
    """The control that does best, the first on a tie; None where there is none."""
    controls = [(name, score) for name, score in scores.items() if name != MODEL]
    return max(controls, key=lambda one: one[1].value) if controls else None


def is_beaten(control: Score, model: Score) -> bool:
    """Whether the model's interval lies wholly above the control's.

    Intervals that overlap do not show that the model is better; a paired comparison might.
    """
    return control.interval[1] < model.interval[0]


def summary(report: Report) -> list[str]:
    """What was found, one paragraph for closed and one for open questions."""
    paragraphs = (_paragraph(find_scores(report, one.metric), one) for one in _WORDINGS)
    return [paragraph for paragraph in paragraphs if paragraph]


def _paragraph(scores: Mapping[str, Score], wording: _Wording) -> str:
    model = scores.get(MODEL)
    if model is None:
        return ""
    opening = wording.of_model.format(figure=_figure(model))
    few = (
        f" Only {model.num_samples} of them were asked: too few to tell."
        if model.num_samples < FEW_SAMPLES
        else ""
    )
    best = best_control(scores)
    if best is None:
        return (
            f"{opening}. No control was measured, so nothing shows that it looks at the image.{few}"
        )
    name, control = best
    said = wording.of_control.format(figure=_figure(control))
    return (
        f"{opening}; the best answer given without seeing that image ({heading(name)}) {said}: "
        f"{_difference(model, control)}. {_verdict(model, control)}{few}"
    )


def _figure(score: Score) -> str:
    return f"{percent(score.value)}\N{NO-BREAK SPACE}% {interval(score)}"


def _difference(model: Score, control: Score) -> str:
    """Of the figures as printed, so that a reader can check it."""
    points = float(percent(model.value)) - float(percent(control.value))
    if round(points, 1) == 0:
        return "the same"
    return f"{abs(points):.1f} points {'less' if points > 0 else 'more'}"


def _verdict(model: Score, control: Score) -> str:
    if is_beaten(control, model):
        return "The intervals do not overlap: the model is better than that."
    if model.interval[1] < control.interval[0]:
        return "The model does worse than an answer that never saw the image."
    return (
        "The intervals overlap: the model is not shown to be better than an answer that "
        "never saw the image."
    )
