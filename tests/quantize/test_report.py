"""The report: plain values, and the same for a person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import BUILD, Make

from tinymed.models.schemes import PARTS
from tinymed.quantize.accuracy import SampleParity, sample_parity
from tinymed.quantize.fixed_set import Case, cases_digest
from tinymed.quantize.gate import compare
from tinymed.quantize.report import Parity, parity_markdown, parity_row, parity_text
from tinymed.records import Prediction, Sample

INT8 = dict.fromkeys(PARTS, "int8")


def _samples(number: int) -> list[Sample]:
    return [
        Sample(
            id=str(place),
            question="Is there a mass?",
            reference="yes" if place % 2 else "no",
            answer_type="closed",
            image=Path(f"{place // 2}.png"),
        )
        for place in range(number)
    ]


def _answers(samples: list[Sample], *, wrong: int) -> list[Prediction]:
    """All right, but the first so many."""
    other = {"yes": "no", "no": "yes"}
    return [
        Prediction(id=one.id, text=other[one.reference] if place < wrong else one.reference)
        for place, one in enumerate(samples)
    ]


def _on_samples(*, wrong: int, number: int = 200) -> SampleParity:
    samples = _samples(number)
    return sample_parity(samples, _answers(samples, wrong=0), _answers(samples, wrong=wrong))


@pytest.fixture
def parity(make: Make, cases: list[Case]) -> Parity:
    found = compare(
        make(scheme="torch-f32", engine="torch"), make(flipped=1), cases, precisions=INT8
    )
    return Parity(build=BUILD, cases=cases, comparisons=[found])


def test_the_report_is_plain_values_that_tell_all(parity: Parity, cases: list[Case]) -> None:
    row = json.loads(json.dumps(parity_row(parity), allow_nan=False))
    # The one flipped answer has flipped logits too, and they are the worst of all tensors.
    assert row["passed"] is True
    assert row["reasons"] == []
    assert (row["model"], row["scheme"], row["precisions"]) == ("tiny", "openvino-int8", INT8)
    assert row["reference"]["scheme"] == "torch-f32"
    assert row["cases"] == {
        "sha256": cases_digest(cases),
        "num_images": 12,
        "num_questions": 120,
    }
    (found,) = row["comparisons"]
    assert found["closed"]["num_same"] == 107
    assert found["num_differing"] == len(found["differing"]) == 1
    assert found["differing"][0]["question"] == "Is this a chest X-ray?"
    assert found["stages"]["first_token_logits"]["worst_relative_error"] > 0.5
    assert row["rules"]["min_same_closed"] == 0.99
    assert {"processor", "instructions"} <= set(row["machine"])
    assert {"python", "openvino", "tinymed"} <= set(row["versions"])


def test_a_report_shows_ten_differing_answers_and_counts_all(make: Make, cases: list[Case]) -> None:
    found = compare(make(), make(flipped=30), cases, precisions=INT8)
    row = parity_row(Parity(build=BUILD, cases=cases, comparisons=[found]))
    assert (row["comparisons"][0]["num_differing"], len(row["comparisons"][0]["differing"])) == (
        30,
        10,
    )
    assert row["passed"] is False


def test_every_number_of_threads_must_pass(parity: Parity, make: Make, cases: list[Case]) -> None:
    other = compare(make(), make(num_threads=2, flipped=4), cases, precisions=INT8)
    both = replace(parity, comparisons=[*parity.comparisons, other])
    assert both.reasons
    assert all(reason.startswith("with 2 threads it answers") for reason in both.reasons)


def test_samples_count_too(parity: Parity) -> None:
    assert replace(parity, samples=_on_samples(wrong=2)).reasons == ()
    reasons = replace(parity, samples=_on_samples(wrong=3)).reasons
    assert reasons == (
        "it answers 197 of 200 closed samples (98.5%) as the reference does, fewer than 99%",
    )


def test_a_few_samples_alone_decide_nothing(parity: Parity) -> None:
    few = _on_samples(wrong=3, number=99)
    assert few.closed.share is not None
    assert few.closed.share < 0.97
    assert replace(parity, samples=few).reasons == ()


def test_a_sure_loss_of_accuracy_fails(parity: Parity) -> None:
    lost = _on_samples(wrong=20)
    assert lost.change is not None
    assert lost.change.value == pytest.approx(-0.1)
    assert lost.change.interval[0] < -0.1 < lost.change.interval[1] < -0.02
    reasons = replace(parity, samples=lost).reasons
    assert any("it loses closed accuracy on the samples" in reason for reason in reasons)
    few = _on_samples(wrong=1, number=10)
    assert few.change is not None
    assert few.change.value == pytest.approx(-0.1)
    assert replace(parity, samples=few).reasons == ()


def test_a_person_reads_the_same(parity: Parity) -> None:
    row = parity_row(replace(parity, samples=_on_samples(wrong=3)))
    text = parity_text(row)
    assert text.splitlines()[0] == "tiny:openvino-int8 beside torch-f32"
    assert "107 of 108 closed questions answered the same: 99.1% (95 % " in text
    assert "closed accuracy 100.0% → 98.5%: -1.5 points (95 % " in text
    assert "FAILED the rules for 8 bits\n  - it answers 197 of 200 closed samples" in text


def test_a_model_card_gets_a_line_a_build(parity: Parity) -> None:
    plain, sampled = parity_row(parity), parity_row(replace(parity, samples=_on_samples(wrong=3)))
    head, rule, first, second = parity_markdown([plain, sampled]).splitlines()
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|") == 8
    assert "| 107 of 108 (" in first
    assert first.endswith("| not measured | passed |")
    assert "| -1.5 points (95 % " in second


def test_a_stage_that_was_not_told_is_shown_as_such(make: Make, cases: list[Case]) -> None:
    made = make()
    silent = replace(made, cases=tuple(replace(one, vision_features=None) for one in made.cases))
    found = compare(make(), silent, cases, precisions=INT8)
    text = parity_text(parity_row(Parity(build=BUILD, cases=cases, comparisons=[found])))
    assert "vision features     not told by openvino-int8" in text
