"""The published metrics, against what the authors' own scorers returned."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tinymed.evaluate.metrics import published
from tinymed.evaluate.metrics.normalize import normalize
from tinymed.evaluate.score import read_candidates, score
from tinymed.records import Prediction, Sample

REPOSITORY = Path(__file__).parents[3]
DATA = Path(os.environ.get("TINYMED_DATA", REPOSITORY.parent / "shared" / "data"))
CASES = DATA.parent / "scorer-cases"
EDGES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "edge-cases.json").read_text(encoding="utf-8")
)
EDGE_ITEMS = [item for item in EDGES["items"] if "norm_gt" in item["scores"]]
# The file keeps ten decimals.
ROUNDED = {"rel": 0, "abs": 1e-9}


def close(value: float) -> Any:
    return pytest.approx(value, **ROUNDED)


def their_scores(scores: dict[str, Any]) -> dict[str, Any]:
    """What each of our names is called in the file, with the value the authors' code gave."""
    theirs = {
        "llava_med_open_exact": "exact",
        "llava_med_open_f1": "f1",
        "llava_med_open_precision": "precision",
        "llava_med_open_recall": "recall",
        "llava_med_open_substring": "open_substring_run_eval_batch",
        "llava_med_closed_run_eval": "closed_llavamed_run_eval",
        "llava_med_closed_run_eval_before_fix": "closed_llavamed_run_eval_before_b9a98a7",
        "llava_med_closed_published": "closed_llavamed_run_eval_batch",
        "tinyllava_med_closed": "closed_tinyllavamedf_medmoe",
    }
    return {ours: scores[name] for ours, name in theirs.items() if name in scores}


def check_item(item: dict[str, Any]) -> None:
    assert normalize(item["gt"]) == item["scores"]["norm_gt"]
    assert normalize(item["pred"]) == item["scores"]["norm_pred"]
    for name, value in their_scores(item["scores"]).items():
        ours = getattr(published, name)(item["pred"], item["gt"])
        assert ours == (None if value is None else close(value)), name


@pytest.fixture(scope="module")
def answer_file() -> dict[str, Any]:
    path = CASES / "vqarad-answer-file.json"
    if not path.exists():
        pytest.skip(f"needs the scored answer file '{path.name}' beside the data; it is not free")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("case", EDGES["normalise"], ids=lambda case: case["in"])
def test_the_normalizer_gives_what_theirs_gave(case: dict[str, str]) -> None:
    assert normalize(case["in"]) == case["out"]


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("couldntve", "couldntve"),
        ("couldn'tve", "couldn't've"),
        ("y'alld've", "y'all'd've"),
        ("twas", "'twas"),
        ("somebody'd", "somebodyd"),
    ],
)
def test_contractions_are_mended_as_in_their_table(text: str, normalized: str) -> None:
    """One apostrophe too few is mended; "somebody'd" stands the wrong way round with them."""
    assert normalize(text) == normalized


@pytest.mark.parametrize("item", EDGE_ITEMS, ids=lambda item: item["case"])
def test_every_hard_case_scores_as_in_their_code(item: dict[str, Any]) -> None:
    check_item(item)


@pytest.mark.parametrize(
    "item", [item for item in EDGE_ITEMS if "candidates" in item], ids=lambda item: item["case"]
)
def test_every_candidate_case_scores_as_in_their_code(item: dict[str, Any]) -> None:
    value = published.llava_med_open_candidate(item["pred"], item["gt"], item["candidates"])
    assert value == close(item["scores"]["open_candidate_run_eval"])


def test_every_published_answer_scores_as_in_their_code(answer_file: dict[str, Any]) -> None:
    assert len(answer_file["items"]) == 451
    for item in answer_file["items"]:
        check_item(item)


def test_every_published_answer_is_matched_to_their_candidate(answer_file: dict[str, Any]) -> None:
    candidates = read_candidates(CASES / "vqarad-open-candidates.json")
    for item in answer_file["items"]:
        if item["answer_type"] == "OPEN":
            value = published.llava_med_open_candidate(item["pred"], item["gt"], candidates)
            assert value == close(item["scores"]["open_candidate_run_eval"])


def test_the_means_are_those_their_scripts_print(answer_file: dict[str, Any]) -> None:
    samples = [
        Sample(
            id=str(item["index"]),
            question=item["question"],
            reference=item["gt"],
            answer_type=item["answer_type"].lower(),
            group=item["image"],
        )
        for item in answer_file["items"]
    ]
    predictions = [
        Prediction(id=str(item["index"]), text=item["pred"]) for item in answer_file["items"]
    ]
    candidates = read_candidates(CASES / "vqarad-open-candidates.json")
    scores = {one.metric: one for one in score(samples, predictions, candidates=candidates)}
    percent = {name: 100 * one.value for name, one in scores.items()}
    expected = {
        "llava_med_open_recall": 17.5326,
        "llava_med_open_precision": 2.79774,
        "llava_med_open_exact": 2.60796,
        "llava_med_open_f1": 4.53966,
        "llava_med_open_substring": 11.1732,
        "llava_med_open_candidate": 6.70391,
        "llava_med_closed_run_eval": 47.0588,
        "llava_med_closed_run_eval_before_fix": 72.7273,
        "llava_med_closed_published": 48.5294,
        "tinyllava_med_closed": 48.5294,
    }
    assert {name: percent[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert scores["llava_med_open_recall"].num_samples == 179
    assert scores["llava_med_closed_published"].num_samples == 272
    assert scores["llava_med_closed_run_eval_before_fix"].num_samples == 176
    assert scores["medevalkit_closed"].num_samples == 251
    assert scores["closed_accuracy"].num_unparsed > 0


@pytest.mark.parametrize(
    ("prediction", "reference", "value"),
    [
        ("Yes.", "yes", 1.0),
        ("It is \\boxed{\\text{no}} after all, yes", "no", 1.0),
        ("boxed but never closed: yes", "yes", 0.0),
        ("\\boxed{yes", "yes", 0.0),
        ("<think>no</think><answer>yes</answer>", "yes", 1.0),
        ("<answer>yes, left open", "yes", 1.0),
        ("no matter, the final answer: yes", "yes", 1.0),
        ("I cannot see it", "no", 1.0),
        ("yes and no", "yes", 0.0),
        ("perhaps", "yes", 0.0),
        ("left", "left", None),
    ],
)
def test_medevalkit_reads_the_marked_answer_alone(
    prediction: str, reference: str, value: float | None
) -> None:
    assert published.medevalkit_closed(prediction, reference) == value


def test_a_candidate_without_words_never_divides_by_zero() -> None:
    assert published.llava_med_open_candidate("lung", "lung", ["the", "lung"]) == 1.0
