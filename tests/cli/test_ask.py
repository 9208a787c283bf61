"""`tinymed ask` and `tinymed demo`, as far as they go without a trained model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import tinymed.ask
import tinymed.quantize.first_use
from tinymed.demo import QUESTIONS, demo_radiograph
from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.images.prepare import Preprocessing
from tinymed.models import cache as cache_module
from tinymed.models import fetch
from tinymed.records import NOTICE

if TYPE_CHECKING:
    from tests.conftest import RunCli


class Parrot:
    """An engine that repeats the question, word by word."""

    name = "openvino"
    scheme = "openvino-int8"
    model = "nano"
    preprocessing = Preprocessing()
    weights_digest = ""
    prompt_template = "{image}{question}"

    def __init__(self) -> None:
        self.num_encoded = 0

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        assert pixels.shape == (3, 224, 224)
        assert pixels.dtype == np.float32
        self.num_encoded += 1
        return EncodedImage(state=None, num_image_tokens=64, encode_ms=100.0, prefill_ms=20.0)

    def answer(
        self,
        image: EncodedImage,
        question: str,
        *,
        max_new_tokens: int = 64,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> Answer:
        if on_text is not None:
            on_text(question[:5])
            on_text(question[5:])
        return Answer(text=question, confidence=0.5, num_tokens=2, prefill_ms=3.0, decode_ms=4.0)


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Parrot]:
    """A parrot in the engine's place; the model's parts count as fetched."""
    engine = Parrot()

    def open_parrot(model: str, **_options: Any) -> Parrot:
        assert model == "nano"
        return engine

    def always(_part: object) -> bool:
        return True

    monkeypatch.setattr(tinymed.ask, "open_compared", open_parrot)
    monkeypatch.setattr(tinymed.quantize.first_use, "make_ready", lambda _model: None)
    monkeypatch.setattr(fetch, "is_verified", always)
    monkeypatch.setattr(cache_module, "is_verified", always)
    return engine


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "chest.png"
    Image.new("L", (32, 48), 128).save(path)
    return str(path)


def test_the_answer_alone_goes_to_standard_output(
    cli: RunCli, parrot: Parrot, picture: str
) -> None:
    outcome = cli("ask", picture, "Is there a fracture?")
    assert (outcome.code, outcome.out) == (0, "Is there a fracture?\n")
    assert "confidence 50 %" in outcome.err
    assert "encode 100 ms, prefill 23 ms, decode 4 ms, peak memory" in outcome.err
    assert NOTICE in outcome.err


def test_json_is_one_object_with_every_documented_field(
    cli: RunCli, parrot: Parrot, picture: str
) -> None:
    outcome = cli("ask", picture, "Is there a fracture?", "--json")
    row = json.loads(outcome.out)
    peak_memory_mib, load_ms = row.pop("peak_memory_mib"), row.pop("load_ms")
    assert peak_memory_mib > 1
    assert load_ms >= 0
    assert isinstance(row.pop("image_notes"), list)
    assert row == {
        "question": "Is there a fracture?",
        "answer": "Is there a fracture?",
        "confidence": 0.5,
        "model": "nano",
        "scheme": "openvino-int8",
        "encode_ms": 100.0,
        "prefill_ms": 23.0,
        "decode_ms": 4.0,
        "num_image_tokens": 64,
        "notice": NOTICE,
    }
    assert outcome.err == ""


def test_the_demo_encodes_its_radiograph_once(cli: RunCli, parrot: Parrot) -> None:
    outcome = cli("demo")
    assert outcome.code == 0
    assert [line for line in outcome.out.splitlines() if line.startswith("> ")] == [
        f"> {question}" for question in QUESTIONS
    ]
    assert outcome.err.count("confidence 50 %") == len(QUESTIONS)
    assert outcome.err.count("encode 100 ms, prefill 23 ms") == 1
    assert outcome.err.count("encode") == 1
    assert outcome.err.count("calibrated), prefill 3 ms") == len(QUESTIONS) - 1
    assert NOTICE in outcome.out
    assert parrot.num_encoded == 1


def test_the_demo_for_machines_is_one_json_list(cli: RunCli, parrot: Parrot) -> None:
    rows = json.loads(cli("demo", "--json").out)
    assert [row["answer"] for row in rows] == list(QUESTIONS)


def test_the_demos_radiograph_is_a_dicom_file_on_this_disk() -> None:
    assert demo_radiograph().read_bytes()[128:132] == b"DICM"


@pytest.mark.slow
def test_the_shipped_model_answers_about_the_radiograph(cli: RunCli) -> None:
    rows = json.loads(cli("demo", "--json").out)
    assert all(row["answer"] and 0 < row["confidence"] <= 1 for row in rows)
    assert all(row["num_image_tokens"] == 81 for row in rows)
