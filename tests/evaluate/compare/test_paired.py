"""Paired figures: counts by hand, signs that flip exactly, intervals that know of clusters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tinymed.evaluate.compare.answers import Answers
from tinymed.evaluate.compare.paired import (
    PAIRED_METRICS,
    ClosedCounts,
    Comparison,
    Difference,
    compare_with_first,
)
from tinymed.evaluate.metrics.table import METRICS
from tinymed.evaluate.pairing import pair
from tinymed.records import Prediction, Sample


def sample(number: int, *, closed: bool = True, group: str = "") -> Sample:
    return Sample(
        id=str(number),
        question="Is there a mass?" if closed else "Where?",
        reference="yes" if closed else "left lower lung",
        answer_type="closed" if closed else "open",
        group=group or str(number),
    )


def answers(label: str, samples: list[Sample], texts: list[str]) -> Answers:
    predictions = [
        Prediction(id=one.id, text=text) for one, text in zip(samples, texts, strict=True)
    ]
    return Answers(label=label, pairs=pair(samples, predictions), conditions={}, run=None)


def compare(samples: list[Sample], *texts: list[str]) -> tuple[Comparison, ...]:
    return compare_with_first(
        [answers(str(place), samples, each) for place, each in enumerate(texts)]
    )


def by_metric(comparison: Comparison) -> dict[str, Difference]:
    return {one.metric: one for one in comparison.differences}


CLOSED = [sample(number) for number in range(20)]
FIRST = ["yes"] * 12 + ["no"] * 8
SECOND = ["yes"] * 9 + ["no"] * 3 + ["yes"] * 7 + ["no"]


def test_closed_questions_are_counted_by_who_is_right() -> None:
    (found,) = compare(CLOSED, FIRST, SECOND)
    assert found.closed == ClosedCounts(both_right=9, only_reference=3, only_other=7, both_wrong=1)
    assert found.test is not None
    assert found.test.exact_p == pytest.approx(binomtest(3, 10).pvalue)
    accuracy = by_metric(found)["closed_accuracy"]
    assert (accuracy.reference, accuracy.other, accuracy.value) == (0.6, 0.8, 0.2)
    assert accuracy.num_samples == 20
    assert found.holm is None


def test_an_answer_that_decides_nothing_counts_as_wrong_and_stays_paired() -> None:
    (found,) = compare(CLOSED[:2], ["I cannot answer: yes", "yes"], ["yes", "yes"])
    assert found.closed == ClosedCounts(both_right=1, only_reference=0, only_other=1, both_wrong=0)
    differences = by_metric(found)
    assert differences["closed_accuracy"].value == 0.5
    # The published rule finds "yes" in the refusal.
    assert differences["llava_med_closed_published"].value == 0


def test_open_differences_are_those_of_the_means() -> None:
    samples = [sample(number, closed=False) for number in range(4)]
    (found,) = compare(
        samples,
        ["left lung", "left lower lung", "heart", "heart"],
        ["left lower lung", "left lower lung", "lung lung", "heart"],
    )
    assert found.closed is None
    assert found.test is None
    differences = by_metric(found)
    assert set(differences) == {name for name in PAIRED_METRICS if "closed" not in name}
    assert differences["open_exact_match"].value == pytest.approx(0.25)
    assert differences["open_recall"].value == pytest.approx(1 / 6)
    # Two of three words and of two, against all; one word said twice, against none.
    assert differences["open_token_f1"].value == pytest.approx((0.2 + 2 / 5) / 4)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_who_is_named_first_changes_signs_and_nothing_else(
    rows: list[tuple[bool, bool, bool]],
) -> None:
    samples = [
        sample(number, closed=closed, group=str(number // 3))
        for number, (closed, _, _) in enumerate(rows)
    ]
    one, two = (
        [("yes left lung" if row[place] else "lower no") for row in rows] for place in (1, 2)
    )
    (there,), (back,) = compare(samples, one, two), compare(samples, two, one)
    assert there.test == back.test
    assert there.num_same_words == back.num_same_words
    for forth, reverse in zip(there.differences, back.differences, strict=True):
        assert reverse.value == -forth.value
        assert reverse.interval == (-forth.interval[1], -forth.interval[0])
        assert reverse.other_sign_share == forth.other_sign_share


def test_the_interval_is_of_the_difference_not_of_each_alone() -> None:
    """Two systems that nearly always agree differ by little, however unsure both are."""
    samples = [sample(number) for number in range(200)]
    one = ["yes", "no"] * 100
    two = ["yes", "yes", *one[2:]]
    (found,) = compare(samples, one, two)
    low, high = by_metric(found)["closed_accuracy"].interval
    assert (low, high) == (0.0, pytest.approx(0.015, abs=0.006))


def test_questions_of_one_image_are_resampled_together() -> None:
    texts = ["yes"] * 30 + ["no"] * 30, ["no"] * 20 + ["yes"] * 40
    alone = [sample(number) for number in range(60)]
    together = [sample(number, group=str(number // 10)) for number in range(60)]
    (apart,), (clustered,) = compare(alone, *texts), compare(together, *texts)
    assert apart.closed == clustered.closed
    assert (apart.num_groups, clustered.num_groups) == (60, 6)
    widths = [np.diff(by_metric(one)["closed_accuracy"].interval)[0] for one in (apart, clustered)]
    assert widths[1] > 2 * widths[0]


def test_one_image_says_nothing_about_others() -> None:
    samples = [sample(number, group="the one") for number in range(6)]
    (found,) = compare(samples, ["yes"] * 6, ["no"] * 6)
    assert by_metric(found)["closed_accuracy"].interval == (-1.0, 1.0)


def test_the_other_signs_share_counts_resamples_at_or_beyond_nought() -> None:
    samples = [sample(number) for number in range(3)]
    (found,) = compare(samples, ["yes", "yes", "no"], ["yes", "yes", "yes"])
    # A resample of three shows no difference where it misses the third: (2/3) cubed.
    share = by_metric(found)["closed_accuracy"].other_sign_share
    assert share == pytest.approx(8 / 27, abs=0.03)
    (same,) = compare(samples, ["yes", "no", "no"], ["no", "yes", "no"])
    assert by_metric(same)["closed_accuracy"].other_sign_share is None


def test_identical_and_alike_answers_are_told_apart() -> None:
    (same,) = compare(CLOSED, FIRST, FIRST)
    assert same.are_identical
    assert all(one.value == 0 and one.interval == (0, 0) for one in same.differences)
    (alike,) = compare(CLOSED, FIRST, [f"{text.title()}." for text in FIRST])
    assert not alike.are_identical
    assert (alike.num_same_text, alike.num_same_words) == (0, 20)


def test_several_comparisons_are_adjusted_by_holm() -> None:
    found = compare(CLOSED, FIRST, SECOND, ["yes"] * 20)
    first, second = (one.test for one in found)
    assert first is not None
    assert second is not None
    assert second.exact_p < first.exact_p
    holm = [one.holm for one in found]
    assert holm[0] is not None
    assert holm[1] is not None
    assert holm[1].exact_p == pytest.approx(2 * second.exact_p)
    assert holm[0].mid_p == pytest.approx(max(first.mid_p, 2 * second.mid_p))
    assert [(one.reference, one.other) for one in found] == [("0", "1"), ("0", "2")]


def test_a_third_system_does_not_change_what_two_differ_by() -> None:
    (alone,) = compare(CLOSED, FIRST, SECOND)
    beside = compare(CLOSED, FIRST, SECOND, ["yes"] * 20)[0]
    assert dataclasses.replace(beside, holm=None) == alone


def test_every_paired_metric_judges_every_answer_of_its_subset() -> None:
    metrics = {metric.name: metric for metric in METRICS}
    samples = [sample(0), sample(1, closed=False)]
    predictions = [Prediction(id="0", text=""), Prediction(id="1", text="I do not know")]
    for name in PAIRED_METRICS:
        for one in pair(samples, predictions):
            judged = metrics[name].judge(one)
            assert judged is not None or not metrics[name].drops
