"""A model's gain over a control is paired: the same questions, the same resamples."""

from __future__ import annotations

import numpy as np
import pytest

from tinymed.evaluate.gains import Gain, gains
from tinymed.evaluate.score import resampled_scores
from tinymed.records import Prediction, Sample

NUM_IMAGES = 60
SAMPLES = [
    Sample(
        id=str(number),
        question="Is there a mass?",
        reference="yes",
        answer_type="closed",
        group=f"image {number}",
    )
    for number in range(NUM_IMAGES)
]


def gain(model: list[str], control: list[str], samples: list[Sample] = SAMPLES) -> Gain:
    def scored(texts: list[str]) -> list[Prediction]:
        return [Prediction(id=one.id, text=text) for one, text in zip(samples, texts, strict=True)]

    found = gains(
        resampled_scores(samples, scored(model)), resampled_scores(samples, scored(control))
    )
    return next(one for one in found if one.metric == "closed_accuracy")


HALF_RIGHT = ["yes", "no"] * (NUM_IMAGES // 2)


def test_two_that_answer_alike_differ_by_nothing_at_all() -> None:
    found = gain(HALF_RIGHT, HALF_RIGHT)
    assert (found.value, found.interval) == (0.0, (0.0, 0.0))


def test_questions_that_only_the_model_gets_decide_how_sure_the_gain_is() -> None:
    """Six of 60 more: their own intervals overlap widely, the paired one lies above nought."""
    better = [
        "yes" if number in {1, 3, 5, 7, 9, 11} else text for number, text in enumerate(HALF_RIGHT)
    ]
    found = gain(better, HALF_RIGHT)
    assert found.value == pytest.approx(0.1)
    # Each resample draws 60 of 60 with a chance of one in ten: a binomial.
    spread = 1.96 * np.sqrt(0.1 * 0.9 / NUM_IMAGES)
    assert found.interval == pytest.approx((0.1 - spread, 0.1 + spread), abs=0.02)
    assert found.interval[0] > 0
    model, control = (
        resampled_scores(
            SAMPLES,
            [Prediction(id=one.id, text=text) for one, text in zip(SAMPLES, texts, strict=True)],
        )
        for texts in (better, HALF_RIGHT)
    )
    intervals = {
        name: next(one.score.interval for one in found if one.score.metric == "closed_accuracy")
        for name, found in (("model", model), ("control", control))
    }
    assert intervals["control"][1] > intervals["model"][0]


def test_turning_them_round_turns_the_gain_round() -> None:
    better = ["yes"] * 20 + HALF_RIGHT[20:]
    there, back = gain(better, HALF_RIGHT), gain(HALF_RIGHT, better)
    assert there.value == -back.value
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))


def test_one_group_says_nothing_of_others() -> None:
    import dataclasses

    together = [dataclasses.replace(one, group="one patient") for one in SAMPLES]
    assert gain(["yes"] * NUM_IMAGES, HALF_RIGHT, together).interval == (-1.0, 1.0)
