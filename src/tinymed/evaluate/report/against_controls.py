"""Whether a model beats the answers that do not see the image, in sentences made by rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinymed.evaluate.gains import Gain
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


def is_beaten(gain: Gain | None) -> bool:
    """Whether the model is better by more than chance explains: the gain's interval is above 0.

    The gain is paired, so two scores whose own intervals overlap can still be told apart.
    """
    return gain is not None and gain.interval[0] > 0


def summary(report: Report) -> list[str]:
    """What was found, one paragraph for closed and one for open questions."""
    paragraphs = (_paragraph(report, one) for one in _WORDINGS)
    return [paragraph for paragraph in paragraphs if paragraph]


def _paragraph(report: Report, wording: _Wording) -> str:
    scores = find_scores(report, wording.metric)
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
    gain = report.gain(name, control)
    return (
        f"{opening}; the best answer given without seeing that image ({heading(name)}) {said}: "
        f"{_difference(model, control)}{_gain_interval(gain)}. {_verdict(gain)}{few}"
    )


def _figure(score: Score) -> str:
    return f"{percent(score.value)}\N{NO-BREAK SPACE}% {interval(score)}"


def _difference(model: Score, control: Score) -> str:
    """Of the figures as printed, so that a reader can check it."""
    points = float(percent(model.value)) - float(percent(control.value))
    if round(points, 1) == 0:
        return "the same"
    return f"{abs(points):.1f} points {'less' if points > 0 else 'more'}"


def _gain_interval(gain: Gain | None) -> str:
    if gain is None:
        return ""
    low, high = (f"{100 * bound:+.1f}" for bound in gain.interval)
    return f" (the model's gain: {low} to {high})"


def _verdict(gain: Gain | None) -> str:
    if is_beaten(gain):
        return "The model is better than that by more than chance explains."
    if gain is not None and gain.interval[1] < 0:
        return "The model does worse than an answer that never saw the image."
    return "The model is not shown to be better than an answer that never saw the image."
