"""Answers that never look at an image, against what the authors' scorers gave them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tinymed.data.request import ImportRequest
from tinymed.data.vqa_rad import import_vqa_rad
from tinymed.evaluate.controls import constant, nearest_question, question_only
from tinymed.evaluate.score import score
from tinymed.records import Prediction, Sample

DATA = Path(os.environ.get("TINYMED_DATA", Path(__file__).parents[3] / "shared" / "data"))
BASELINES = DATA.parent / "scorer-cases" / "blind-baselines.json"


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Sample]]:
    if not BASELINES.exists():
        pytest.skip(f"needs VQA-RAD and '{BASELINES.name}' beside it")
    return import_vqa_rad(ImportRequest(path=DATA / "vqa-rad")).splits


def theirs(name: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(BASELINES.read_text(encoding="utf-8"))["results"][name]
    return found


def ours(samples: list[Sample], predictions: list[Prediction]) -> dict[str, float]:
    scores = {
        one.metric: one.value
        for one in score(samples, predictions)
        if one.subset in ("open", "closed")
    }
    return {
        "open_recall": round(100 * scores["llava_med_open_recall"], 2),
        "closed_substring": round(100 * scores["tinyllava_med_closed"], 2),
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [("vqa_rad_always_no", "no"), ("vqa_rad_cannot_see", "I cannot answer: yes")],
)
def test_a_constant_answer_scores_what_it_scored_there(
    splits: dict[str, list[Sample]], name: str, text: str
) -> None:
    assert ours(splits["test"], constant(splits["test"], text)) == theirs(name)


@pytest.mark.parametrize(("split", "name"), [("train", "1797"), ("train-3064", "3064")])
def test_copying_from_train_scores_what_it_scored_there(
    splits: dict[str, list[Sample]], split: str, name: str
) -> None:
    train, test = splits[split], splits["test"]
    nearest = theirs(f"vqa_rad_{name}_nearest_same_image")
    assert ours(test, nearest_question(train, test)) == nearest
    assert ours(test, question_only(train, test)) == theirs(f"vqa_rad_{name}_question_only")


def test_a_constant_refusal_is_right_nowhere_by_the_honest_metrics(
    splits: dict[str, list[Sample]],
) -> None:
    samples = splits["test"]
    for one in score(samples, constant(samples, "I cannot answer: yes")):
        if one.metric in ("accuracy", "closed_accuracy", "open_recall", "open_exact_match"):
            assert (one.value, one.num_unparsed) == (0.0, one.num_samples)
