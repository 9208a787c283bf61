"""Scores and decodings of other people's checkpoints, which transformers itself decodes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import MAKERS, write_checkpoint

from tinymed.engines.batching import open_batch
from tinymed.engines.decoding import Decoding
from tinymed.engines.protocol import Answer, EncodedImage
from tinymed.engines.torch.published import TransformersEngine
from tinymed.errors import ConfigError, UserError
from tinymed.images.medical_image import MedicalImage

# PaliGemma's processor calls numpy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
IMAGE = MedicalImage(pixels=PIXELS, source="png", notes=())
QUESTION = "Is it?"
GREEDY = Decoding(max_new_tokens=6)

Opened = dict[str, TransformersEngine]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("checkpoints")

    def engine(kind: str) -> TransformersEngine:
        path: Path = write_checkpoint(kind, folder / kind)
        return TransformersEngine(path, scheme="torch-f32", threads=1, device="cpu")

    return {kind: engine(kind) for kind in MAKERS}


def decode(
    engine: TransformersEngine, image: EncodedImage, decoding: Decoding
) -> tuple[Answer, list[tuple[str, float]]]:
    batch = open_batch(engine)  # type: ignore[arg-type]  # it takes pictures for pixels
    pieces: list[tuple[str, float]] = []
    ticket = batch.add(image, QUESTION, decoding, lambda piece, p: pieces.append((piece, p)))
    assert pieces == []
    (finished,) = batch.step()
    assert (finished.ticket, len(batch)) == (ticket, 0)
    assert "".join(piece for piece, _ in pieces) == finished.answer.text
    return finished.answer, pieces


def _greedy(engine: TransformersEngine, image: EncodedImage, question: str, count: int) -> Answer:
    batch = open_batch(engine)  # type: ignore[arg-type]
    batch.add(image, question, Decoding(max_new_tokens=count), lambda _piece, _probability: None)
    (finished,) = batch.step()
    return finished.answer


@pytest.mark.parametrize("kind", MAKERS)
def test_a_batch_answers_greedily_as_the_engine(opened: Opened, kind: str) -> None:
    engine = opened[kind]
    image = engine.encode(engine.prepare(IMAGE))
    expected = engine.answer(image, QUESTION, max_new_tokens=6)
    answer, pieces = decode(engine, image, GREEDY)
    assert (answer.text, answer.num_tokens) == (expected.text, expected.num_tokens)
    assert answer.confidence == pytest.approx(expected.confidence, rel=1e-4)
    assert answer.num_prompt_tokens == expected.num_prompt_tokens > image.num_image_tokens
    assert sum(token.log_probability for token in answer.tokens) == pytest.approx(
        math.log(answer.confidence)
    )
    assert pieces[-1][1] == pytest.approx(answer.confidence)


@pytest.mark.parametrize("kind", MAKERS)
def test_scores_are_probabilities_of_whole_answers(opened: Opened, kind: str) -> None:
    engine = opened[kind]
    image = engine.encode(engine.prepare(IMAGE))
    choices = ["yes", "no", "yes, it is", ""]
    scored = engine.score(image, QUESTION, choices)
    assert [choice.text for choice in scored] == choices
    assert 0 < sum(math.exp(choice.log_probability) for choice in scored) < 1
    assert [b"".join(token.token_bytes for token in one.tokens).strip() for one in scored] == [
        choice.encode() for choice in choices
    ]
    again = engine.score(image, QUESTION, choices[1:2])
    assert again[0].log_probability == pytest.approx(scored[1].log_probability)


def test_the_greedy_answer_scores_its_confidence(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened["smolvlm"]
    image = engine.encode(engine.prepare(IMAGE))
    id_of = {engine._texts.bytes_of(token): token for token in range(256)}
    for number in range(300):
        question = f"Is it {number}?"
        first, second = _greedy(engine, image, question, 2).tokens
        if "!" <= first.text <= "~" and first.text != second.text and second.token_bytes in id_of:
            break
    else:
        raise AssertionError("the tiny model never says a letter")
    # The second token is made the end token: the answer is one letter.
    end_id = id_of[second.token_bytes]
    monkeypatch.setattr(engine._model.generation_config, "eos_token_id", [end_id, 1])
    answer = engine.answer(image, question, max_new_tokens=6)
    assert answer.text.startswith(first.text)
    assert (answer.num_tokens, _greedy(engine, image, question, 6).text) == (2, first.text)
    (scored,) = engine.score(image, question, [first.text])
    assert math.exp(scored.log_probability) == pytest.approx(answer.confidence, rel=1e-4)


def test_seeds_stop_texts_and_alternatives_are_honoured(opened: Opened) -> None:
    engine = opened["smolvlm"]
    image = engine.encode(engine.prepare(IMAGE))
    hot = Decoding(max_new_tokens=8, temperature=1.0, seed=3, top_logprobs=4)
    answer, _ = decode(engine, image, hot)
    assert decode(engine, image, hot)[0].text == answer.text
    assert decode(engine, image, replace(hot, seed=4))[0].text != answer.text
    assert {len(token.alternatives) for token in answer.tokens} == {4}
    ascii_seed = next(
        seed
        for seed in range(300)
        if any(
            "!" <= token.text <= "~"
            for token in decode(engine, image, replace(hot, seed=seed))[0].tokens[1:]
        )
    )
    whole, _ = decode(engine, image, replace(hot, seed=ascii_seed))
    stop = next(token.text for token in whole.tokens[1:] if "!" <= token.text <= "~")
    cut, _ = decode(engine, image, replace(hot, seed=ascii_seed, stop=(stop,)))
    assert cut.text == whole.text.partition(stop)[0]
    assert (cut.finish_reason, stop in cut.text) == ("stop", False)
    assert cut.num_tokens < whole.num_tokens or whole.text.endswith(stop)


def test_a_text_that_ends_every_answer_is_scored_in_the_end_tokens_place(opened: Opened) -> None:
    engine = opened["smolvlm"]
    image = engine.encode(engine.prepare(IMAGE))
    plain = engine.score(image, QUESTION, ["yes"])[0]
    engine._stop_strings = ("##",)
    try:
        stopped = engine.score(image, QUESTION, ["yes"])[0]
    finally:
        engine._stop_strings = ()
    assert b"".join(token.token_bytes for token in stopped.tokens) == b"yes##"
    assert [token.log_probability for token in stopped.tokens[:3]] == pytest.approx(
        [token.log_probability for token in plain.tokens[:3]]
    )


def test_what_cannot_be_answered_is_refused(opened: Opened) -> None:
    engine = opened["smolvlm"]
    image = engine.encode(engine.prepare(IMAGE))
    batch = open_batch(engine)  # type: ignore[arg-type]
    for question, decoding, message in [
        ("<image>", GREEDY, "reads as a command"),
        (QUESTION, Decoding(top_p=2), "top_p is 2"),
        (QUESTION, Decoding(max_new_tokens=2000), "max_new_tokens is 2000; "),
    ]:
        with pytest.raises(UserError, match=message):
            batch.add(image, question, decoding, lambda _piece, _probability: None)
    assert len(batch) == 0
    with pytest.raises(ConfigError, match="choice 'xxx"):
        engine.score(image, QUESTION, ["x" * 2000])
