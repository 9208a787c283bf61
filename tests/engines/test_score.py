from __future__ import annotations

import math

import pytest
from ending_answers import find_ending, letter_prompt
from tiny_model import Open

from tinymed.engines.openvino.layers import Array
from tinymed.errors import ConfigError, UserError

QUESTION = "Is there a fracture?"
CHOICES = ["Yes", "No", "left upper lobe", "left", "", "肺", "n"]


def test_the_greedy_answer_scores_its_confidence(open_any: Open, pixels: Array) -> None:
    found = find_ending(open_any, pixels)
    engine = open_any(found.prompt)
    image = engine.encode(pixels)
    answer = engine.answer(image, found.question)
    assert (answer.text, answer.finish_reason) == (found.text, "stop")
    others = ["0", found.text + "0", found.text[0], "Yes"]
    scored = engine.score(image, found.question, [*others, f" {found.text}\n"])
    assert math.exp(scored[-1].log_probability) == pytest.approx(answer.confidence, rel=1e-4)
    assert [token.log_probability for token in scored[-1].tokens] == pytest.approx(
        [token.log_probability for token in answer.tokens], abs=1e-4
    )
    assert [token.token_bytes for token in scored[-1].tokens] == [
        token.token_bytes for token in answer.tokens
    ]


def test_different_answers_share_one_probability(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    image = engine.encode(pixels)
    scored = engine.score(image, QUESTION, CHOICES)
    assert [choice.text for choice in scored] == CHOICES
    assert 0 < sum(math.exp(choice.log_probability) for choice in scored) <= 1
    for choice in scored:
        assert choice.log_probability == pytest.approx(
            sum(token.log_probability for token in choice.tokens)
        )
        # One token a byte, and the end token.
        assert len(choice.tokens) == len(choice.text.encode()) + 1
        assert b"".join(token.token_bytes for token in choice.tokens) == choice.text.encode()


def test_all_first_tokens_add_up_to_one(open_any: Open, pixels: Array) -> None:
    """More choices than are read side by side: every letter there is, and the empty answer."""
    prompt = letter_prompt()
    engine = open_any(prompt)
    image = engine.encode(pixels)
    letters = [prompt.tokenizer.id_to_token(token) for token in range(256)]
    scored = engine.score(image, QUESTION, [*letters, ""])
    firsts = sum(math.exp(choice.tokens[0].log_probability) for choice in scored)
    assert 0.9 < firsts < 1  # two control tokens are missing
    alone = [engine.score(image, QUESTION, [letter])[0] for letter in letters[::31]]
    assert [choice.log_probability for choice in scored[:256:31]] == pytest.approx(
        [choice.log_probability for choice in alone], abs=1e-3
    )


def test_scoring_changes_no_answer(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    image = engine.encode(pixels)
    before = engine.answer(image, QUESTION, max_new_tokens=9)
    first = engine.score(image, QUESTION, CHOICES)
    after = engine.answer(image, QUESTION, max_new_tokens=9)
    assert (after.text, after.tokens) == (before.text, before.tokens)
    assert engine.score(image, QUESTION, CHOICES) == first


def test_what_cannot_be_scored_is_refused(open_any: Open, pixels: Array) -> None:
    engine = open_any()
    image = engine.encode(pixels)
    assert engine.score(image, QUESTION, []) == []
    with pytest.raises(UserError, match="The question is empty"):
        engine.score(image, " ", ["Yes"])
    with pytest.raises(ConfigError, match=r"The choice 'xxx.*' has 9001 tokens; .* has room for "):
        engine.score(image, QUESTION, ["Yes", "x" * 9000])
