"""Answers that come and go between two steps are those of `answer`."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from ending_answers import find_ending, letter_prompt
from tiny_model import SIZE_PX, Load, Open

from tinymed.engines.batch import Batch
from tinymed.engines.batching import open_batch
from tinymed.engines.decoding import Decoding
from tinymed.engines.openvino.layers import Array
from tinymed.engines.protocol import Answer, EncodedImage, Engine
from tinymed.errors import ConfigError, UserError
from tinymed.models.prompt import MAX_QUESTION_TOKENS, Prompt

QUESTIONS = [
    "Is there a fracture?",
    "Which organ?",
    "Où se trouve la lésion ? 肺",
    "Why?",
    "In which plane was this image of the chest taken, and with which contrast?",
    "x" * 300,
]
GREEDY = Decoding(max_new_tokens=8)
SIDE_BY_SIDE = ("openvino", "native")


def images_of(engine: Engine, count: int) -> list[EncodedImage]:
    rng = np.random.default_rng(5)
    shape = (3, SIZE_PX, SIZE_PX)
    return [engine.encode(rng.normal(0, 1, shape).astype(np.float32)) for _ in range(count)]


@dataclass
class Listener:
    """Hears an answer."""

    pieces: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)

    def __call__(self, piece: str, probability: float) -> None:
        self.pieces.append(piece)
        self.probabilities.append(probability)


def run_out(batch: Batch) -> dict[int, Answer]:
    """Step until nobody is left."""
    answers = {}
    while len(batch):
        answers.update({one.ticket: one.answer for one in batch.step()})
    return answers


def decode(engine: Engine, image: EncodedImage, question: str, decoding: Decoding) -> Answer:
    """One answer alone in a batch, whose text is heard as it is told."""
    batch, listener = open_batch(engine), Listener()
    ticket = batch.add(image, question, decoding, listener)
    answer = run_out(batch)[ticket]
    assert "".join(listener.pieces) == answer.text
    return answer


def check_same(found: Answer, expected: Answer) -> None:
    assert (found.text, found.num_tokens) == (expected.text, expected.num_tokens)
    assert (found.finish_reason, found.num_prompt_tokens) == (
        expected.finish_reason,
        expected.num_prompt_tokens,
    )
    assert found.confidence == pytest.approx(expected.confidence, rel=1e-4)
    assert [token.token_bytes for token in found.tokens] == [
        token.token_bytes for token in expected.tokens
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_that_join_and_leave_at_any_step_are_those_of_answer(
    open_any: Open, pixels: Array, seed: int
) -> None:
    ending = find_ending(open_any, pixels)
    engine = open_any(ending.prompt)
    images, draws = [engine.encode(pixels), *images_of(engine, 4)], random.Random(seed)
    asked = [
        (draws.choice(images), draws.choice([*QUESTIONS, ending.question]), draws.randint(1, 12))
        for _ in range(22)
    ]
    asked.append((images[0], ending.question, 12))
    batch = open_batch(engine)
    places: dict[int, int] = {}
    listeners = [Listener() for _ in asked]
    answers: dict[int, Answer] = {}
    dropped, most, waiting = set(), 0, list(range(len(asked)))
    while waiting or len(batch):
        while waiting and len(batch) < batch.room and draws.random() < 0.6:
            place = waiting.pop(0)
            image, question, count = asked[place]
            decoding = Decoding(max_new_tokens=count)
            places[batch.add(image, question, decoding, listeners[place])] = place
        most = max(most, len(batch))
        if draws.random() < 0.2:
            engine.score(draws.choice(images), draws.choice(QUESTIONS), ["Yes", "No"])
        if draws.random() < 0.2:
            images_of(engine, 1)
        on_their_way = [t for t in places if places[t] not in answers and t not in dropped]
        if on_their_way and draws.random() < 0.1:
            dropped.add(ticket := draws.choice(on_their_way))
            batch.drop(ticket)
        answers.update({places[one.ticket]: one.answer for one in batch.step()})
    assert most == (8 if engine.name in SIDE_BY_SIDE else 1) == batch.room
    assert len(answers) + len(dropped) == len(asked)
    assert len(dropped) > 0
    for place, answer in answers.items():
        image, question, count = asked[place]
        check_same(answer, engine.answer(image, question, max_new_tokens=count))
        assert "".join(listeners[place].pieces) == answer.text
    assert {answer.finish_reason for answer in answers.values()} == {"stop", "length"}


def test_a_piece_comes_with_the_probability_so_far(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    batch, listener = open_batch(engine), Listener()
    batch.add(engine.encode(pixels), QUESTIONS[0], GREEDY, listener)
    (answer,) = run_out(batch).values()
    assert len(listener.pieces) > 2
    assert listener.probabilities == sorted(listener.probabilities, reverse=True)
    assert listener.probabilities[-1] == pytest.approx(answer.confidence)
    assert answer.confidence == pytest.approx(
        np.exp(sum(token.log_probability for token in answer.tokens))
    )


def test_texts_come_as_they_are_decoded(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    batch, listener = open_batch(engine), Listener()
    batch.add(engine.encode(pixels), QUESTIONS[0], Decoding(max_new_tokens=40), listener)
    assert not listener.pieces
    heard = []
    while len(batch):
        batch.step()
        heard.append(len(listener.pieces))
    assert len(heard) == 40
    assert len(set(heard)) > 5


def test_a_stop_text_ends_an_answer_and_is_not_shown(open_any: Open, pixels: Array) -> None:
    engine = open_any(letter_prompt())
    image = engine.encode(pixels)
    whole = engine.answer(image, QUESTIONS[0], max_new_tokens=9)
    stop = whole.text[3:6]  # a token a letter: it comes in three parts
    shown = whole.text.partition(stop)[0]
    decoding = Decoding(max_new_tokens=9, stop=("no such text", stop))
    answer = decode(engine, image, QUESTIONS[0], decoding)
    assert (answer.text, answer.finish_reason) == (shown, "stop")
    assert answer.num_tokens == len(shown) + 3 < whole.num_tokens
    assert "".join(token.text for token in answer.tokens) == shown


def test_a_seed_gives_the_same_draws_whoever_else_is_there(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    image, *others = [engine.encode(pixels), *images_of(engine, 2)]
    hot = Decoding(max_new_tokens=10, temperature=1.5, seed=11)
    alone = decode(engine, image, QUESTIONS[0], hot)
    assert decode(engine, image, QUESTIONS[0], hot).text == alone.text
    batch = open_batch(engine)
    if batch.room > 1:
        for other in others:
            batch.add(other, QUESTIONS[1], replace(hot, max_new_tokens=4), Listener())
    ticket = batch.add(image, QUESTIONS[0], hot, Listener())
    check_same(run_out(batch)[ticket], alone)
    drawn = {decode(engine, image, QUESTIONS[0], replace(hot, seed=seed)).text for seed in range(6)}
    assert len(drawn) > 1
    assert alone.text != engine.answer(image, QUESTIONS[0], max_new_tokens=10).text


def test_alternatives_are_told_with_every_token(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    image = engine.encode(pixels)
    answer = decode(engine, image, QUESTIONS[0], replace(GREEDY, top_logprobs=5))
    for token in answer.tokens:
        values = [other.log_probability for other in token.alternatives]
        assert len(values) == 5
        assert values == sorted(values, reverse=True)
        assert token.alternatives[0].token_bytes == token.token_bytes
        assert values[0] == pytest.approx(token.log_probability)


@pytest.mark.parametrize(
    ("question", "decoding", "message"),
    [
        (" ", GREEDY, "The question is empty"),
        ("x" * MAX_QUESTION_TOKENS, GREEDY, "The question has "),
        ("Why?", Decoding(max_new_tokens=0), "max_new_tokens is 0; "),
        ("Why?", Decoding(max_new_tokens=9000), "max_new_tokens is 9000; "),
        ("Why?", Decoding(temperature=-1), "temperature is -1"),
        ("Why?", Decoding(stop=("",)), "stop text is empty"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_changes_nothing(
    open_any: Open, pixels: Array, question: str, decoding: Decoding, message: str
) -> None:
    engine = open_any()
    image = engine.encode(pixels)
    batch = open_batch(engine)
    ticket = None
    if batch.room > 1:
        ticket = batch.add(image, QUESTIONS[0], GREEDY, Listener())
        batch.step()
    with pytest.raises(UserError, match=message):
        batch.add(image, question, decoding, Listener())
    assert len(batch) == (ticket is not None)
    if ticket is None:
        ticket = batch.add(image, QUESTIONS[0], GREEDY, Listener())
    check_same(run_out(batch)[ticket], engine.answer(image, QUESTIONS[0], max_new_tokens=8))


def test_a_full_batch_takes_no_more(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    image = engine.encode(pixels)
    batch = open_batch(engine)
    for _ in range(batch.room):
        batch.add(image, "Why?", GREEDY, Listener())
    with pytest.raises(ValueError, match=f"room for {batch.room} answers"):
        batch.add(image, "Why?", GREEDY, Listener())
    assert len(run_out(batch)) == batch.room


def test_an_answer_can_be_dropped_at_any_time(open_any: Open, pixels: Array) -> None:
    engine = open_any(letter_prompt())
    image = engine.encode(pixels)
    batch = open_batch(engine)
    batch.drop(99)
    early = batch.add(image, "Why?", GREEDY, Listener())
    batch.drop(early)
    batch.drop(early)
    assert (len(batch), batch.step()) == (0, [])


@pytest.mark.parametrize("count", [1, 5])
def test_whoever_hears_a_text_can_drop_its_answer(
    open_any: Open, pixels: Array, count: int
) -> None:
    """Even when that text was the last."""
    engine = open_any(letter_prompt())
    image = engine.encode(pixels)
    batch = open_batch(engine)
    tickets: list[int] = []
    decoding = Decoding(max_new_tokens=count)
    tickets.append(
        batch.add(image, QUESTIONS[0], decoding, lambda _text, _chance: batch.drop(tickets[0]))
    )
    if batch.room > 1:
        tickets.append(batch.add(image, QUESTIONS[1], GREEDY, Listener()))
    answers = run_out(batch)
    assert list(answers) == tickets[1:]
    for answer in answers.values():
        check_same(answer, engine.answer(image, QUESTIONS[1], max_new_tokens=8))


def test_whoever_hears_a_text_can_drop_another_answer(load: Load, pixels: Array) -> None:
    """Whose token of this very step is not written down yet."""
    engine = load("f32", ask=letter_prompt())
    image = engine.encode(pixels)
    batch, unheard = open_batch(engine), Listener()
    others: list[int] = []
    first = batch.add(image, QUESTIONS[0], GREEDY, lambda _text, _chance: batch.drop(others[0]))
    others.append(batch.add(image, QUESTIONS[1], GREEDY, unheard))
    assert list(run_out(batch)) == [first]
    assert unheard.pieces == []


def busy(engine: Engine, after_step: Callable[[Any], None]) -> None:
    """A batch that is never empty for a long time."""
    images = images_of(engine, 3)
    batch: Any = open_batch(engine)
    for turn in range(60):
        while len(batch) < 3:
            question = QUESTIONS[(turn + len(batch)) % 5]
            decoding = Decoding(max_new_tokens=5 + 3 * len(batch))
            batch.add(images[turn % 3], question, decoding, Listener())
        batch.step()
        after_step(batch)
    run_out(batch)
    after_step(batch)


def test_a_batch_that_is_never_empty_does_not_grow(load: Load, prompt: Prompt) -> None:
    """Padding of texts that have left would else pile up, a slot a step."""
    engine = load("f32", ask=prompt)
    longest = 10 + max(len(question.encode()) for question in QUESTIONS[:5]) + 25 + 14
    seen: list[int] = []
    busy(engine, lambda batch: seen.append(batch._lanes._rows.filled.shape[1]))
    assert max(seen) <= longest + 14
    assert seen[-1] == 0


def test_a_long_text_leaves_no_padding_behind(load: Load, prompt: Prompt, pixels: Array) -> None:
    engine = load("f32", ask=prompt)
    image = engine.encode(pixels)
    batch: Any = open_batch(engine)
    short = batch.add(image, "Why?", Decoding(max_new_tokens=20), Listener())
    batch.add(image, "x" * 300, Decoding(max_new_tokens=3), Listener())
    widths = []
    answers = {}
    while len(batch):
        answers.update({one.ticket: one.answer for one in batch.step()})
        widths.append(batch._lanes._rows.filled.shape[1])
    assert max(widths) > 300
    assert widths[5] < 100
    check_same(answers[short], engine.answer(image, "Why?", max_new_tokens=20))


class Plain:
    """An engine that knows no more than `answer`."""

    name = "plain"

    def answer(self, image: EncodedImage, question: str, *, max_new_tokens: int = 64) -> Answer:
        if not question:
            raise UserError("The question is empty.")
        return Answer(
            text="lung"[:max_new_tokens],
            confidence=0.5,
            num_tokens=4,
            prefill_ms=1,
            decode_ms=1,
        )


def test_an_engine_that_only_answers_is_asked_one_by_one() -> None:
    engine: Any = Plain()
    image = EncodedImage(state=None, num_image_tokens=0, encode_ms=0, prefill_ms=0)
    batch, listener = open_batch(engine), Listener()
    with pytest.raises(UserError, match="empty"):
        batch.add(image, "", Decoding(), listener)
    with pytest.raises(ConfigError, match="'plain' only answers greedily"):
        batch.add(image, "Where?", Decoding(temperature=0.5), listener)
    assert (len(batch), batch.room, batch.step()) == (0, 1, [])
    ticket = batch.add(image, "Where?", Decoding(max_new_tokens=2), listener)
    with pytest.raises(ValueError, match="room"):
        batch.add(image, "Where?", Decoding(), listener)
    (finished,) = batch.step()
    assert (finished.ticket, finished.answer.text) == (ticket, "lu")
    assert (listener.pieces, listener.probabilities) == (["lu"], [0.5])
    batch.drop(batch.add(image, "Where?", Decoding(), listener))
    assert batch.step() == []
