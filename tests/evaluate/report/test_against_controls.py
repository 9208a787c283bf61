"""What a report says of a model and its controls, by rule."""

from __future__ import annotations

import pytest

from tinymed.evaluate.gains import Gain
from tinymed.evaluate.report.against_controls import best_control, is_beaten, summary
from tinymed.evaluate.report.report import Report
from tinymed.records import Score


def closed(value: float, low: float, high: float, *, n: int = 100) -> Score:
    return Score(
        metric="closed_accuracy",
        subset="closed",
        value=value,
        interval=(low, high),
        num_samples=n,
        num_unparsed=0,
    )


def said(*, gain: tuple[float, float] = (-0.5, 0.5), **conditions: Score) -> list[str]:
    names = {name.replace("_", "-"): one for name, one in conditions.items()}
    paired = Gain(metric="closed_accuracy", subset="closed", value=0.0, interval=gain)
    return summary(
        Report(
            run={},
            conditions={name: [one] for name, one in names.items()},
            num_samples=100,
            gains={name: [paired] for name in names if name != "model"},
        )
    )


MODEL = closed(0.763, 0.719, 0.804)


def test_a_control_is_beaten_where_the_gain_lies_above_nought() -> None:
    (sentence,) = said(
        model=MODEL, question_only=closed(0.647, 0.609, 0.686), gain=(0.0712, 0.1604)
    )
    assert sentence == (
        "On closed questions the model is right in 76.3\xa0% [71.9,\xa080.4]; the best answer "
        "given without seeing that image (question only) is right in 64.7\xa0% [60.9,\xa068.6]: "
        "11.6 points less (the model's gain: +7.1 to +16.0). The model is better than that by "
        "more than chance explains."
    )


@pytest.mark.parametrize(
    ("value", "difference"), [(0.65, "11.3 points less"), (0.79, "2.7 points more")]
)
def test_where_the_gain_reaches_nought_nothing_is_claimed(value: float, difference: str) -> None:
    (sentence,) = said(model=MODEL, blank=closed(value, 0.6, 0.82), gain=(-0.01, 0.2))
    assert f": {difference} (the model's gain: -1.0 to +20.0). The model is not shown" in sentence
    assert "better than that by" not in sentence


def test_a_gain_that_touches_nought_is_none() -> None:
    def gain(low: float) -> Gain:
        return Gain(metric="m", subset="all", value=0.1, interval=(low, 0.2))

    assert not is_beaten(gain(0.0))
    assert is_beaten(gain(0.001))
    assert not is_beaten(None)


def test_a_model_below_a_control_does_worse() -> None:
    (sentence,) = said(model=MODEL, always_no=closed(0.9, 0.85, 0.95), gain=(-0.2, -0.08))
    assert sentence.endswith("The model does worse than an answer that never saw the image.")
    assert "13.7 points more" in sentence


def test_equal_figures_are_called_the_same() -> None:
    (sentence,) = said(model=MODEL, blank=closed(0.7629, 0.719, 0.804))
    assert ": the same (" in sentence


def test_a_difference_is_that_of_the_figures_as_printed() -> None:
    """0.7646 and 0.6454 differ by 11.92 points, and 76.5 and 64.5 as printed by 12.0."""
    (sentence,) = said(model=closed(0.7646, 0.7, 0.8), blank=closed(0.6454, 0.6, 0.65))
    assert ": 12.0 points less" in sentence


def test_a_gain_that_was_not_measured_shows_nothing() -> None:
    report = Report(run={}, conditions={"model": [MODEL], "blank": [MODEL]}, num_samples=100)
    (sentence,) = summary(report)
    assert sentence.endswith(
        ": the same. The model is not shown to be better than an answer that never saw the image."
    )


def test_the_best_of_the_controls_is_named_and_the_first_wins_a_tie() -> None:
    scores = {
        "model": MODEL,
        "always-yes": closed(0.5, 0.4, 0.6),
        "blank": closed(0.6, 0.5, 0.7),
        "shuffled": closed(0.6, 0.5, 0.7),
    }
    assert best_control(scores) == ("blank", scores["blank"])
    assert best_control({"model": MODEL}) is None


def test_without_controls_nothing_shows_that_the_model_looks() -> None:
    (sentence,) = said(model=MODEL)
    assert sentence.endswith(
        "No control was measured, so nothing shows that it looks at the image."
    )


@pytest.mark.parametrize(("n", "is_few"), [(19, True), (20, False)])
def test_few_questions_are_said_to_be_few(n: int, *, is_few: bool) -> None:
    (sentence,) = said(model=closed(0.9, 0.8, 1.0, n=n), blank=closed(0.1, 0.0, 0.2, n=n))
    assert (f"Only {n} of them were asked: too few to tell." in sentence) == is_few


def test_what_was_not_measured_is_not_mentioned() -> None:
    assert said(blank=MODEL) == []
    assert len(said(model=MODEL)) == 1
