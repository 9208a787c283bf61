"""The shipped model's answers side by side, about real images."""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tinymed.data.request import ImportRequest
from tinymed.data.sources import import_set
from tinymed.engines.batching import open_batch
from tinymed.engines.choose import open_engine
from tinymed.engines.decoding import Decoding
from tinymed.engines.protocol import Answer, EncodedImage, Engine, prepared
from tinymed.errors import TinymedError
from tinymed.images.intake import read_image
from tinymed.models.catalog import find_model
from tinymed.models.fetch import require_parts

DATA = Path(os.environ.get("TINYMED_DATA", Path(__file__).parents[3] / "shared" / "data"))
NUM_QUESTIONS = 14
MAX_NEW_TOKENS = 32
SCHEMES = ["openvino-int8", "native-int8", "gguf-q8_0"]

pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question with the answer that it gets alone."""

    image: EncodedImage
    question: str
    answer: Answer


@dataclass(frozen=True, kw_only=True)
class Bench:
    engine: Engine
    asked: list[Asked]


@pytest.fixture(scope="module", params=SCHEMES)
def bench(request: pytest.FixtureRequest) -> Bench:
    if not DATA.is_dir():
        pytest.skip("needs the public data sets in the folder TINYMED_DATA")
    if request.param.startswith("gguf"):
        pytest.importorskip("xllamacpp", reason="needs the extra gguf")
    try:
        require_parts(find_model("nano"))
    except TinymedError as error:
        pytest.skip(str(error))
    name = f"nano:{request.param}"
    engine = open_engine(name, force_build=name)
    samples = import_set("vqa-rad", ImportRequest(path=DATA / "vqa-rad")).splits["test"]
    asked = []
    for sample in random.Random(3).sample(samples, NUM_QUESTIONS):
        assert sample.image is not None
        image = engine.encode(prepared(engine, read_image(sample.image)))
        answer = engine.answer(image, sample.question, max_new_tokens=MAX_NEW_TOKENS)
        asked.append(Asked(image=image, question=sample.question, answer=answer))
    return Bench(engine=engine, asked=asked)


def test_answers_that_join_and_leave_are_those_of_answer(bench: Bench) -> None:
    draws, batch = random.Random(4), open_batch(bench.engine)
    waiting, tickets = list(range(NUM_QUESTIONS)), dict[int, int]()
    answers: dict[int, Answer] = {}
    dropped = 0
    while waiting or len(batch):
        while waiting and len(batch) < batch.room and draws.random() < 0.5:
            place = waiting.pop(0)
            one = bench.asked[place]
            decoding = Decoding(max_new_tokens=MAX_NEW_TOKENS)
            ticket = batch.add(one.image, one.question, decoding, lambda _text, _probability: None)
            tickets[ticket] = place
        if draws.random() < 0.15:
            bench.engine.score(bench.asked[0].image, "Is it normal?", ["Yes", "No"])
        on_their_way = [t for t, place in tickets.items() if place not in answers]
        if on_their_way and draws.random() < 0.1:
            ticket = draws.choice(on_their_way)
            batch.drop(ticket)
            del tickets[ticket]
            dropped += 1
        answers.update({tickets[one.ticket]: one.answer for one in batch.step()})
    assert len(answers) + dropped == NUM_QUESTIONS
    assert dropped > 0
    # Sums of float32 in another order; native and llama.cpp keep theirs.
    near = 1e-2 if bench.engine.name == "openvino" else 1e-9
    for place, answer in answers.items():
        expected = bench.asked[place].answer
        assert (answer.text, answer.num_tokens) == (expected.text, expected.num_tokens)
        assert answer.confidence == pytest.approx(expected.confidence, rel=near)


def test_an_answer_scores_its_confidence(bench: Bench) -> None:
    num_same = 0
    for one in bench.asked:
        choices = [one.answer.text, "Yes", "No", "right", "left", "both sides of the chest"]
        scored = bench.engine.score(one.image, one.question, sorted(set(choices)))
        assert sum(math.exp(choice.log_probability) for choice in scored) <= 1 + 1e-9
        own = next(choice for choice in scored if choice.text == one.answer.text)
        told = [[token.token_bytes for token in each.tokens] for each in (own, one.answer)]
        # A text can be told in more ways than the one that a tokenizer gives it.
        if told[0] == told[1] and one.answer.finish_reason == "stop":
            num_same += 1
            (alone,) = bench.engine.score(one.image, one.question, [own.text])
            confidence = one.answer.confidence
            assert math.exp(alone.log_probability) == pytest.approx(confidence, rel=1e-6)
            # Beside others llama.cpp sums otherwise, and its 8-bit activations magnify that.
            near = 0.15 if bench.engine.name == "llamacpp" else 1e-2
            assert math.exp(own.log_probability) == pytest.approx(confidence, rel=near)
    assert num_same > NUM_QUESTIONS // 2
