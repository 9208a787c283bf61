"""Withholding unsure answers: chosen on one split, measured on another."""

from __future__ import annotations

import numpy as np
import pytest

from tinymed.errors import DataError
from tinymed.evaluate.audit.abstention import (
    Abstention,
    abstention,
    declined,
    threshold_for_accuracy,
    threshold_for_coverage,
)
from tinymed.evaluate.pairing import Pair
from tinymed.records import Prediction, Sample


def pairs(*rows: tuple[int, float, str], answer_type: str = "closed") -> list[Pair]:
    """(how many, confidence, answer) to questions whose reference is yes."""
    found = []
    for number, confidence, text in rows:
        for _ in range(number):
            id_ = f"{answer_type}-{len(found)}"
            sample = Sample(
                id=id_,
                question="Is there a mass?",
                reference="yes",
                answer_type=answer_type,  # type: ignore[arg-type]
                group=id_,
            )
            found.append(
                Pair(
                    sample=sample,
                    prediction=Prediction(id=id_, text=text, confidence=confidence),
                )
            )
    return found


CALIBRATION = pairs((40, 0.9, "yes"), (10, 0.7, "yes"), (10, 0.7, "no"), (40, 0.2, "no"))
TEST = pairs((30, 0.95, "yes"), (10, 0.7, "no"), (10, 0.6, "yes"), (50, 0.1, "no"))


def row(rows: list[Abstention], subset: str, policy: str) -> Abstention:
    (found,) = (one for one in rows if (one.subset, one.policy) == (subset, policy))
    return found


def test_a_threshold_is_chosen_on_one_split_and_measured_on_the_other() -> None:
    rows = abstention(CALIBRATION, TEST, target_accuracy=0.8)
    found = row(rows, "closed", "target-accuracy")
    assert found.threshold is not None
    assert (found.threshold.value, found.threshold.coverage) == (0.7, 0.6)
    assert found.threshold.accuracy == pytest.approx(50 / 60)
    figures = (found.coverage, found.accuracy, found.wrong_withheld, found.right_withheld)
    values = [(one.value, one.num_samples) for one in figures if one is not None]
    # Given: 30 right and 10 wrong. Withheld: 10 right of 40, 50 wrong of 60.
    assert values == [(0.4, 100), (0.75, 40), (pytest.approx(50 / 60), 60), (0.25, 40)]
    assert all(one is not None and one.interval is not None for one in figures)


def test_a_coverage_is_what_at_least_as_many_answers_reach() -> None:
    rows = abstention(CALIBRATION, TEST, target_accuracy=0.8)
    found = row(rows, "closed", "coverage")
    assert found.threshold is not None
    # 60 % reach 0.7, so 80 % need the next one.
    assert (found.threshold.value, found.threshold.coverage) == (0.2, 1.0)
    assert found.coverage is not None
    assert (found.target, found.coverage.value) == (0.8, 0.5)


def test_a_target_out_of_reach_is_said_and_nothing_is_measured() -> None:
    rows = abstention(CALIBRATION[40:], TEST, target_accuracy=0.8)
    found = row(rows, "all", "target-accuracy")
    assert found.threshold is found.coverage is found.accuracy is None
    assert found.reason == (
        "No threshold that 30 answers of the calibration split reach gives an accuracy "
        "of 80 %; the best is 16.7 %."
    )


def test_what_the_split_has_too_little_of_has_no_threshold() -> None:
    opens = pairs((40, 0.5, "yes"), answer_type="open")
    rows = abstention(CALIBRATION, [*TEST, *opens], target_accuracy=0.8)
    for policy in ("target-accuracy", "coverage"):
        found = row(rows, "open", policy)
        assert found.threshold is None
        assert found.reason is not None
        assert "The calibration split has 0 such answers; 30 are the least" in found.reason


def test_a_threshold_that_few_answers_reach_is_not_a_choice() -> None:
    confidence = np.repeat([0.9, 0.5], [29, 31])
    right = (confidence > 0.8).astype(float)
    with pytest.raises(DataError, match=r"the best is 48\.3 %"):
        threshold_for_accuracy(confidence, right, 0.8)
    thirty = np.repeat([0.9, 0.5], [30, 30])
    found = threshold_for_accuracy(thirty, (thirty > 0.8).astype(float), 0.8)
    assert (found.value, found.coverage, found.accuracy) == (0.9, 0.5, 1.0)


def test_of_several_thresholds_the_lowest_answers_most() -> None:
    """Accuracy need not fall with the threshold: 0.5 reaches the target again after 0.7."""
    confidence = np.repeat([0.9, 0.7, 0.5], [40, 10, 100])
    right = (confidence != 0.7).astype(float)
    assert threshold_for_accuracy(confidence, right, 0.9).value == 0.5
    assert threshold_for_coverage(confidence, right, 0.3).value == 0.7


def test_the_models_own_refusals_are_counted() -> None:
    rows = declined(pairs((3, 0.5, "I cannot tell."), (2, 0.5, "perhaps"), (4, 0.5, "no")))
    assert [(one.subset, one.num_samples) for one in rows] == [("all", 9), ("closed", 9)]
    assert {(one.num_refusals, one.num_undecided) for one in rows} == {(3, 5)}
