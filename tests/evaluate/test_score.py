"""Scores: which samples each metric judges, and what happens to answers it cannot judge."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tinymed.errors import DataError
from tinymed.evaluate.metrics.table import METRICS
from tinymed.evaluate.score import cluster, read_candidates, score
from tinymed.records import AnswerType, Prediction, Sample


def sample(id_: str, reference: str, answer_type: AnswerType) -> Sample:
    return Sample(id=id_, question="What?", reference=reference, answer_type=answer_type, group=id_)


SAMPLES = [
    sample("1", "yes", "closed"),
    sample("2", "no", "closed"),
    sample("3", "left", "closed"),
    sample("4", "right lung", "open"),
    sample("5", "yes", "open"),
]
PREDICTIONS = [
    Prediction(id="1", text="Yes."),
    Prediction(id="2", text="I cannot know"),
    Prediction(id="3", text="left"),
    Prediction(id="4", text="right lung"),
    Prediction(id="5", text=""),
]


def test_each_metric_judges_its_subset_and_says_how_many() -> None:
    found = {
        one.metric: (one.subset, one.value, one.num_samples, one.num_unparsed)
        for one in score(SAMPLES, PREDICTIONS)
    }
    assert found["accuracy"] == ("all", pytest.approx(3 / 5), 5, 2)
    assert found["closed_accuracy"] == ("closed", pytest.approx(2 / 3), 3, 1)
    assert found["open_exact_match"] == ("open", 0.5, 2, 1)
    assert found["llava_med_closed_published"] == ("closed", 1.0, 3, 0)
    assert found["llava_med_closed_run_eval"] == ("closed", pytest.approx(2 / 3), 3, 0)
    # By the reference: samples 1, 2 and 5, whatever their answer type.
    assert found["medevalkit_closed"] == ("closed", pytest.approx(2 / 3), 3, 0)


def test_wrong_answers_vanish_only_from_the_published_mean_before_its_fix() -> None:
    samples = [sample("1", "yes", "closed"), sample("2", "yes", "closed")]
    predictions = [Prediction(id="1", text="yes"), Prediction(id="2", text="no")]
    found = {one.metric: one for one in score(samples, predictions)}
    before = found["llava_med_closed_run_eval_before_fix"]
    assert (before.value, before.num_samples) == (1.0, 1)
    assert found["llava_med_closed_run_eval"].value == 0.5


def test_a_subset_without_samples_has_no_score() -> None:
    closed = score(SAMPLES[:3], PREDICTIONS[:3])
    assert {one.subset for one in closed} == {"all", "closed"}
    assert "medevalkit_closed" not in {one.metric for one in score([SAMPLES[2]], [PREDICTIONS[2]])}


def test_repeating_the_references_scores_one_everywhere_but_where_published_scorers_err() -> None:
    right = [Prediction(id=one.id, text=one.reference) for one in SAMPLES]
    below_one = {one.metric for one in score(SAMPLES, right) if one.value != 1.0}
    # "left" holds neither "yes" nor "no", and so can never be right there; references of
    # one and two words hold no three words in a row.
    assert below_one == {
        "llava_med_closed_run_eval",
        "llava_med_closed_run_eval_before_fix",
        "open_bleu_3",
        "open_bleu_4",
    }


def test_every_value_lies_in_its_interval() -> None:
    for one in score(SAMPLES, PREDICTIONS):
        low, high = one.interval
        assert 0 <= low <= one.value <= high <= 1


def test_metric_names_are_unique() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_candidate_metric_needs_candidates() -> None:
    names = {one.metric for one in score(SAMPLES, PREDICTIONS)}
    with_candidates = score(SAMPLES, PREDICTIONS, candidates=["right lung", 5])
    assert {one.metric for one in with_candidates} - names == {"llava_med_open_candidate"}


def test_a_sample_is_clustered_by_group_then_image_then_itself() -> None:
    alone = Sample(id="7", question="?", reference="", answer_type="open")
    on_image = Sample(
        id="7", question="?", reference="", answer_type="open", image=Path("/x/y.png")
    )
    of_patient = dataclasses.replace(on_image, group="patient 3")
    assert cluster(of_patient) == "patient 3"
    assert (cluster(on_image), cluster(alone)) == ("/x/y.png", "7")


@pytest.mark.parametrize("content", [["a", 5], {"0": ["a", 5]}, {"candidates": ["a", 5]}])
def test_candidates_are_a_list_or_stand_under_a_key(tmp_path: Path, content: object) -> None:
    path = tmp_path / "candidates.json"
    path.write_text(json.dumps(content))
    assert read_candidates(path) == ["a", 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Cannot read candidates"),
        ("[]", "holds no candidates"),
        ("{}", "holds no candidates"),
        ('"a"', "holds no candidates"),
        ("[1.5]", "neither text nor a whole number"),
        ("[true]", "neither text nor a whole number"),
    ],
)
def test_a_file_without_candidates_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "candidates.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_candidates(path)
