"""Scores of parts: each modality, body part and question type apart."""

from __future__ import annotations

import numpy as np

from tinymed.evaluate.breakdown import LARGEST, parts
from tinymed.evaluate.score import score
from tinymed.records import Prediction, Sample


def sample(number: int, modality: str | None, group: str) -> Sample:
    return Sample(
        id=str(number),
        question="Is there a mass?",
        reference="yes",
        answer_type="closed",
        group=group,
        modality=modality,
    )


SAMPLES = [
    sample(1, "CT", "a"),
    sample(2, "CT", "b"),
    sample(3, "CT", "c"),
    sample(4, "MRI", "d"),
    sample(5, "MRI", "d"),
    sample(6, None, "e"),
]
PREDICTIONS = [
    Prediction(id=one.id, text=text)
    for one, text in zip(SAMPLES, ("yes", "no", "maybe", "yes", "yes", "no"), strict=True)
]


def found() -> dict[tuple[str, str], tuple[float, int, int]]:
    return {
        (one.metric, one.subset): (one.value, one.num_samples, one.num_unparsed)
        for one in score(SAMPLES, PREDICTIONS)
    }


def test_each_part_is_scored_by_the_honest_metrics() -> None:
    scores = found()
    assert scores["closed_accuracy", "closed"] == (0.5, 6, 1)
    assert scores["closed_accuracy", "modality=CT"] == (1 / 3, 3, 1)
    assert scores["closed_accuracy", "modality=MRI"] == (1.0, 2, 0)
    assert scores["closed_accuracy", "modality=(none)"] == (0.0, 1, 0)
    assert not [name for name, part in scores if "=" in part and "llava" in name]


def test_a_part_of_one_group_says_nothing_about_others() -> None:
    intervals = {(one.metric, one.subset): one.interval for one in score(SAMPLES, PREDICTIONS)}
    assert intervals["closed_accuracy", "modality=MRI"] == (0.0, 1.0)
    # Of three groups, all three resampled to be right happen in one of 27.
    assert intervals["closed_accuracy", "modality=CT"] == (0.0, 1.0)


def test_a_dimension_with_one_value_is_no_breakdown() -> None:
    assert not parts(SAMPLES[:3])


def test_rare_values_share_a_part_and_none_is_lost() -> None:
    many = [sample(number, f"kind {number // 2}", "a") for number in range(2 * LARGEST)]
    many += [sample(1000 + number, f"rare {number}", "a") for number in range(5)]
    masks = parts(many)
    assert len(masks) == LARGEST + 1
    assert masks["modality=(rarer)"].sum() == 5
    assert np.sum(list(masks.values()), axis=0).tolist() == [1] * len(many)


def test_a_further_dimension_divides_like_the_others() -> None:
    masks = parts(SAMPLES, {"image_in_train": ["near", "no", "no", "no", "no", "near"]})
    assert masks["image_in_train=near"].tolist() == [True, False, False, False, False, True]
    assert list(masks)[-2:] == ["image_in_train=no", "image_in_train=near"]
