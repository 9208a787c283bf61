"""The engines agree on the shipped model: same prompt, same preprocessing, greedy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tinymed.data.sources import import_set
from tinymed.engines.choose import open_engine
from tinymed.errors import TinymedError
from tinymed.images.intake import read_image
from tinymed.images.prepare import prepare
from tinymed.models.catalog import find_model
from tinymed.models.fetch import require_parts

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


def test_torch_and_openvino_in_full_precision_give_the_same_answers() -> None:
    samples = import_set("vqa-rad", DATA / "vqa-rad").splits["test"]
    chosen = samples[:: len(samples) // NUM_QUESTIONS][:NUM_QUESTIONS]
    reference, other = (
        open_engine("nano", engine="torch"),
        open_engine("nano", engine="openvino-f32"),
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


def test_the_image_matters() -> None:
    engine = open_engine("nano")
    samples = import_set("vqa-rad", DATA / "vqa-rad").splits["test"][:40]
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
