"""Every kind of leakage is counted once a sample, shown, and said in plain words."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinymed.errors import DataError
from tinymed.evaluate.leakage.report import (
    NUM_EXAMPLES,
    Example,
    Leakage,
    find_leakage,
    leakage_from_json,
    leakage_json,
    warnings_of,
)
from tinymed.records import Sample

NONE = Leakage(
    num_samples=8,
    num_train=9,
    same_file=0,
    near_image=0,
    same_question=0,
    same_image_and_question=0,
    same_image_question_and_answer=0,
    num_without_image=0,
    num_unreadable=0,
    num_unreadable_train=0,
)


def sample(id_: str, image: Path | None, question: str, reference: str = "Lung") -> Sample:
    return Sample(id=id_, question=question, reference=reference, answer_type="open", image=image)


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Images a and b, a's copy, a saved as JPEG, and a file that is no image."""
    paths = {name: tmp_path / name for name in ("a.png", "b.png", "copy.png", "a.jpg", "text.png")}
    for seed, name in enumerate(("a.png", "b.png")):
        noise = np.random.default_rng(seed).integers(0, 256, (12, 10), dtype=np.uint8)
        Image.fromarray(noise).resize((200, 240), Image.Resampling.BICUBIC).save(paths[name])
    paths["copy.png"].write_bytes(paths["a.png"].read_bytes())
    Image.open(paths["a.png"]).save(paths["a.jpg"], quality=70)
    paths["text.png"].write_text("no image")
    return paths


def test_each_kind_is_counted_with_an_example(images: dict[str, Path]) -> None:
    train = [
        sample("t1", images["a.png"], "Which organ is it?"),
        sample("t2", images["a.png"], "Which plane?", "Axial"),
        sample("t3", None, "Is there a mass?", "no"),
    ]
    samples = [
        sample("1", images["copy.png"], "which organ is it", "the LUNG."),
        sample("2", images["a.jpg"], "Which plane?", "Coronal"),
        sample("3", images["a.jpg"], "How large?"),
        sample("4", images["b.png"], "Which organ is it?"),
        sample("5", None, "Is there a mass?"),
        sample("6", images["b.png"], "Where is it?"),
    ]
    found = find_leakage(train, samples)
    assert found.image_in_train == {
        "1": "same file",
        "2": "near",
        "3": "near",
        "4": "no",
        "6": "no",
    }
    assert found == Leakage(
        num_samples=6,
        num_train=3,
        same_file=1,
        near_image=2,
        same_question=4,
        same_image_and_question=2,
        same_image_question_and_answer=1,
        num_without_image=1,
        num_unreadable=0,
        num_unreadable_train=0,
        examples=found.examples,
    )
    assert found.examples["same_file"] == (Example(sample="1", train="t1", distance_bits=0),)
    assert [(one.sample, one.train) for one in found.examples["near_image"]] == [("2", "t1")]
    assert found.examples["same_question"] == (
        Example(sample="1", train="t1"),
        Example(sample="2", train="t2"),
        Example(sample="5", train="t3"),
    )
    both = found.examples["same_image_and_question"]
    assert [(one.sample, one.train) for one in both] == [("1", "t1"), ("2", "t2")]
    (alike,) = found.examples["same_image_question_and_answer"]
    assert (alike.sample, alike.train) == ("1", "t1")


def test_the_same_words_about_another_image_are_not_the_same_image(
    images: dict[str, Path],
) -> None:
    train = [sample("t", images["a.png"], "Where?"), sample("u", images["b.png"], "Which?")]
    found = find_leakage(train, [sample("1", images["a.png"], "Which?")])
    assert (found.same_file, found.same_question, found.same_image_and_question) == (1, 1, 0)


def test_an_answer_counts_if_any_train_sample_of_the_question_gives_it(
    images: dict[str, Path],
) -> None:
    train = [
        sample("t", images["a.png"], "Where?", "left"),
        sample("u", images["a.png"], "Where?", "right"),
    ]
    found = find_leakage(train, [sample("1", images["a.png"], "Where?", "Right.")])
    (alike,) = found.examples["same_image_question_and_answer"]
    assert alike.train == "u"


def test_questions_without_a_word_are_not_the_same() -> None:
    assert find_leakage([sample("t", None, "?")], [sample("1", None, "!")]).same_question == 0


def test_chinese_questions_are_compared_by_their_characters() -> None:
    train = [sample("t", None, "这是横断面吗?")]
    samples = [sample("1", None, "这是横断面吗？"), sample("2", None, "这是冠状面吗？")]
    found = find_leakage(train, samples)
    assert found.same_question == 1


def test_images_that_cannot_be_read_are_counted_and_stop_nothing(images: dict[str, Path]) -> None:
    missing = images["a.png"].with_name("missing.png")
    train = [sample("t", images["text.png"], "Which?"), sample("u", missing, "Where?")]
    samples = [sample("1", images["text.png"], "Which?"), sample("2", missing, "Where?")]
    found = find_leakage(train, samples)
    assert (found.num_unreadable, found.num_unreadable_train) == (2, 2)
    assert (found.same_file, found.same_question, found.same_image_and_question) == (1, 2, 1)


def test_no_more_than_a_few_examples_and_each_about_another_image(tmp_path: Path) -> None:
    paths = []
    for seed in range(NUM_EXAMPLES + 2):
        noise = np.random.default_rng(seed).integers(0, 256, (20, 20), dtype=np.uint8)
        paths.append(tmp_path / f"{seed}.png")
        Image.fromarray(noise).save(paths[-1])
    samples = [sample(f"{path.stem}-{copy}", path, "Q?") for path in paths for copy in range(3)]
    found = find_leakage(samples, samples)
    assert found.same_file == len(samples)
    shown = found.examples["same_file"]
    assert [one.sample for one in shown] == [f"{seed}-0" for seed in range(NUM_EXAMPLES)]
    assert len(found.examples["same_question"]) == 1


def test_the_progress_of_reading_images_is_shown(
    images: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    find_leakage([sample("t", images["a.png"], "Q?")], [], label="Train and test")
    assert capsys.readouterr().err == "Train and test: 1 of 1 images, 00:00 left\n"


def test_a_report_survives_json(images: dict[str, Path]) -> None:
    train = [sample("t", images["a.png"], "Which?")]
    found = find_leakage(train, [sample("1", images["a.jpg"], "Which?")])
    assert found.near_image == 1
    written = json.loads(json.dumps(leakage_json(found)))
    assert written["near_image_method"] == {"max_distance_bits": 40, "min_correlation": 0.9}
    assert leakage_from_json(written) == found


@pytest.mark.parametrize(
    "change",
    [{"same_file": None}, {"same_file": "many"}, {"examples": [1]}, {"examples": {"x": [{}]}}],
)
def test_json_that_is_no_leakage_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="leakage report cannot be read"):
        leakage_from_json({**leakage_json(NONE), **change})
    with pytest.raises(DataError, match="run the evaluation again"):
        leakage_from_json({})


def test_nothing_found_warns_of_nothing() -> None:
    assert warnings_of(NONE) == ()
    assert warnings_of(dataclasses.replace(NONE, num_without_image=3)) == ()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("same_file", "3 of 8 questions (37.5 %) are about an image whose very file is in train"),
        ("near_image", "an image that looks the same as one in train"),
        ("same_question", "compare with the question-only control"),
        ("same_image_and_question", "a model can answer them from memory"),
        ("same_image_question_and_answer", "right answers to them prove memory only"),
    ],
)
def test_each_kind_has_its_own_sentence_with_count_and_percent(kind: str, words: str) -> None:
    leakage = dataclasses.replace(NONE, **{kind: 3})
    (warning,) = warnings_of(leakage)
    assert words in warning
    assert warning.startswith("Leakage: 3 of 8 questions (37.5 %) ")
    assert warning.endswith(".")


def test_images_that_were_not_compared_are_said() -> None:
    (warning,) = warnings_of(dataclasses.replace(NONE, num_unreadable_train=2))
    assert "images of 0 questions and 2 train samples could not be read" in warning
