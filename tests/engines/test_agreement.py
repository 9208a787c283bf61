"""The engines agree on the shipped model: same prompt, same preprocessing, greedy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tinymed.data.request import ImportRequest
from tinymed.data.sources import import_set
from tinymed.engines.choose import open_engine
from tinymed.errors import TinymedError
from tinymed.images.intake import read_image
from tinymed.images.prepare import prepare
from tinymed.models.catalog import find_model
from tinymed.models.fetch import require_parts
from tinymed.records import Sample

DATA = Path(os.environ.get("TINYMED_DATA", Path(__file__).parents[3] / "shared" / "data"))
NUM_QUESTIONS = 24

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _needs_everything() -> None:
    pytest.importorskip("torch", reason="needs torch")
    if not DATA.is_dir():
        pytest.skip("needs the public data sets in the folder TINYMED_DATA")
    try:
        require_parts(find_model("nano"))
    except TinymedError as error:
        pytest.skip(str(error))


def _samples() -> list[Sample]:
    return import_set("vqa-rad", ImportRequest(path=DATA / "vqa-rad")).splits["test"]


def test_torch_and_openvino_in_full_precision_give_the_same_answers() -> None:
    samples = _samples()
    chosen = samples[:: len(samples) // NUM_QUESTIONS][:NUM_QUESTIONS]
    reference, other = (
        open_engine("nano:torch-f32"),
        open_engine("nano:openvino-f32", force_build="nano:openvino-f32"),
    )
    same = 0
    for sample in chosen:
        assert sample.image is not None
        pixels = prepare(read_image(sample.image), reference.preprocessing)
        answers = [
            engine.answer(engine.encode(pixels), sample.question, keep_logits=True)
            for engine in (reference, other)
        ]
        same += answers[0].text == answers[1].text
        first, second = (answer.first_token_logits for answer in answers)
        assert first is not None
        assert second is not None
        assert np.abs(first - second).max() < 1e-3 * np.ptp(first)
    assert same == NUM_QUESTIONS


@pytest.mark.parametrize("name", ["nano:torch-f32", "nano:openvino-f32"])
def test_questions_asked_together_get_the_answers_they_get_one_by_one(name: str) -> None:
    samples = _samples()[:NUM_QUESTIONS]
    engine = open_engine(name, force_build=name)
    assert samples[0].image is not None
    image = engine.encode(prepare(read_image(samples[0].image), engine.preprocessing))
    questions = [sample.question for sample in samples]
    alone = [engine.answer(image, question) for question in questions]
    together = engine.answer_all(image, questions)
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert [answer.confidence for answer in together] == pytest.approx(
        [answer.confidence for answer in alone], rel=1e-3
    )


def test_the_image_matters() -> None:
    engine = open_engine("nano:openvino-int8", force_build="nano:openvino-int8")
    samples = _samples()[:40]
    size = engine.preprocessing.size_px
    black = engine.encode(np.zeros((3, size, size), np.float32))
    changed = 0
    for sample in samples:
        assert sample.image is not None
        seen = engine.encode(prepare(read_image(sample.image), engine.preprocessing))
        changed += (
            engine.answer(seen, sample.question).text != engine.answer(black, sample.question).text
        )
    assert changed > 0
