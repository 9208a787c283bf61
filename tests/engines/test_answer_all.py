from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_model import Load, Open

from tinymed.engines import rows
from tinymed.engines.openvino.layers import Array
from tinymed.engines.protocol import Answer
from tinymed.errors import ConfigError, UserError
from tinymed.models.prompt import MAX_QUESTION_TOKENS, Prompt

QUESTIONS = [
    "Is there a fracture?",
    "Which organ?",
    "Où se trouve la lésion ? 肺",
    "Why?",
    "In which plane was this image of the chest taken, and with which contrast?",
]


def same(one: list[Answer], other: list[Answer]) -> bool:
    return [(answer.text, answer.num_tokens) for answer in one] == [
        (answer.text, answer.num_tokens) for answer in other
    ] and [answer.confidence for answer in one] == pytest.approx(
        [answer.confidence for answer in other], rel=1e-4
    )


@pytest.mark.parametrize("count", [1, 2, 5])
def test_answers_together_are_those_one_by_one(open_tiny: Open, pixels: Array, count: int) -> None:
    engine = open_tiny()
    image = engine.encode(pixels)
    asked = QUESTIONS[:count]
    alone = [engine.answer(image, question, max_new_tokens=12) for question in asked]
    assert same(engine.answer_all(image, asked, max_new_tokens=12), alone)
    assert len({answer.text for answer in alone}) == count


def test_an_answer_that_ends_leaves_the_others_going_on(
    open_tiny: Open, prompt: Prompt, pixels: Array
) -> None:
    engine = open_tiny()
    image = engine.encode(pixels)
    logits = engine.answer(image, QUESTIONS[1], max_new_tokens=1, keep_logits=True)
    assert logits.first_token_logits is not None
    ending = open_tiny(replace(prompt, end_id=int(np.argmax(logits.first_token_logits))))
    image = ending.encode(pixels)
    together = ending.answer_all(image, QUESTIONS, max_new_tokens=9)
    assert (together[1].text, together[1].num_tokens) == ("", 1)
    assert max(answer.num_tokens for answer in together) == 9
    assert same(
        together, [ending.answer(image, question, max_new_tokens=9) for question in QUESTIONS]
    )


def test_an_answer_does_not_depend_on_its_neighbours(open_tiny: Open, pixels: Array) -> None:
    engine = open_tiny()
    image = engine.encode(pixels)
    together = engine.answer_all(image, QUESTIONS, max_new_tokens=8)
    order = [3, 0, 4, 2, 1]
    permuted = engine.answer_all(image, [QUESTIONS[index] for index in order], max_new_tokens=8)
    assert same(permuted, [together[index] for index in order])
    for neighbour in ("No", "x" * 300):
        pair = engine.answer_all(image, [neighbour, QUESTIONS[0]], max_new_tokens=8)
        assert same(pair[1:], together[:1])


def test_the_same_questions_again_get_the_very_same_answers(open_tiny: Open, pixels: Array) -> None:
    engine = open_tiny()
    image = engine.encode(pixels)
    alone = engine.answer(image, QUESTIONS[0], max_new_tokens=8)
    first, second = (engine.answer_all(image, QUESTIONS, max_new_tokens=8) for _ in range(2))
    again = engine.answer(image, QUESTIONS[0], max_new_tokens=8)
    assert (again.text, again.confidence) == (alone.text, alone.confidence)
    assert [(answer.text, answer.confidence) for answer in first] == [
        (answer.text, answer.confidence) for answer in second
    ]


def test_more_questions_than_are_read_at_once_keep_their_order(
    open_tiny: Open, pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_tiny()
    image = engine.encode(pixels)
    monkeypatch.setattr(rows, "TOKENS_AT_ONCE", 1000)
    together = engine.answer_all(image, QUESTIONS, max_new_tokens=6)
    monkeypatch.setattr(rows, "TOKENS_AT_ONCE", 100)
    in_rounds = engine.answer_all(image, QUESTIONS, max_new_tokens=6)
    assert same(in_rounds, together)
    assert len({answer.prefill_ms for answer in together}) == 1
    assert len({answer.prefill_ms for answer in in_rounds}) > 1


def test_no_questions_get_no_answers(open_tiny: Open, pixels: Array) -> None:
    engine = open_tiny()
    assert engine.answer_all(engine.encode(pixels), []) == []


@pytest.mark.parametrize("bad", [" ", "x" * MAX_QUESTION_TOKENS])
def test_one_question_that_cannot_be_asked_refuses_all(
    open_tiny: Open, pixels: Array, bad: str
) -> None:
    engine = open_tiny()
    with pytest.raises(UserError, match="question"):
        engine.answer_all(engine.encode(pixels), [QUESTIONS[0], bad])


@pytest.mark.parametrize(("count", "room"), [(0, 2004), (1951, 1950), (5000, 2004)])
def test_a_number_of_tokens_that_does_not_fit_one_of_the_questions_is_refused(
    load: Load, pixels: Array, count: int, room: int
) -> None:
    engine = load("f32")
    image = engine.encode(pixels)
    with pytest.raises(ConfigError, match=f"max_new_tokens is {count}; .* room for 1 to {room} "):
        engine.answer_all(image, QUESTIONS, max_new_tokens=count)
    assert len(engine.answer_all(image, ["Why?"], max_new_tokens=20)) == 1


def test_eight_bit_weights_choose_the_same_first_tokens(load: Load, pixels: Array) -> None:
    """Padding stands where it changes no sum, so that not even 8-bit rounding tips."""
    engine = load("int8")
    image = engine.encode(pixels)
    alone = [engine.answer(image, question, max_new_tokens=1) for question in QUESTIONS]
    assert same(engine.answer_all(image, QUESTIONS, max_new_tokens=1), alone)
