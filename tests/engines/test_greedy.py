from __future__ import annotations

import math
import time

import pytest

from tinymed.engines.decoding import Decoding
from tinymed.engines.draft import Draft
from tinymed.engines.greedy import answer_greedily
from tinymed.engines.sampling import Choice
from tinymed.engines.token_texts import TokenTexts
from tinymed.models.prompt import Prompt

A, B, C = (ord(letter) - ord("!") for letter in "ABC")
"""Token ids: the byte-level alphabet begins at "!"."""


def drafts(prompt: Prompt, count: int) -> list[Draft]:
    texts = TokenTexts(prompt.tokenizer)
    decoding = Decoding(max_new_tokens=4)
    return [Draft(texts, {prompt.end_id}, decoding, num_prompt_tokens=9) for _ in range(count)]


def test_each_answer_follows_its_own_tokens_and_ends_by_itself(prompt: Prompt) -> None:
    end = prompt.end_id
    scripts = [[A, A, A, A], [end], [B, end], [C, B, A, end]]
    asked: list[list[int]] = []
    going = list(range(len(scripts)))
    read = dict.fromkeys(going, 1)

    def choice(answer: int) -> Choice:
        return Choice(scripts[answer][read[answer] - 1], math.log(0.5))

    def following(kept: list[int], tokens: list[int]) -> list[Choice]:
        nonlocal going
        going = [going[place] for place in kept]
        asked.append(list(going))
        assert tokens == [choice(answer)[0] for answer in going]
        for answer in going:
            read[answer] += 1
        return [choice(answer) for answer in going]

    answers = answer_greedily(
        lambda: [choice(answer) for answer in going], following, drafts(prompt, len(scripts))
    )
    assert asked == [[0, 2, 3], [0, 3], [0, 3]]
    assert [answer.text for answer in answers] == ["AAAA", "", "B", "CBA"]
    assert [answer.num_tokens for answer in answers] == [4, 1, 2, 4]
    assert [answer.finish_reason for answer in answers] == ["length", "stop", "stop", "stop"]
    assert ["".join(token.text for token in answer.tokens) for answer in answers] == [
        answer.text for answer in answers
    ]
    assert {answer.num_prompt_tokens for answer in answers} == {9}
    assert [answer.confidence for answer in answers] == pytest.approx(
        [1 / 16, 1 / 2, 1 / 4, 1 / 16]
    )


def test_answers_share_the_time_in_equal_parts(prompt: Prompt) -> None:
    def first() -> list[Choice]:
        time.sleep(0.04)
        return [Choice(A, 0.0), Choice(prompt.end_id, 0.0)]

    def following(kept: list[int], tokens: list[int]) -> list[Choice]:
        time.sleep(0.02)
        return [Choice(prompt.end_id, 0.0)]

    start = time.perf_counter()
    answers = answer_greedily(first, following, drafts(prompt, 2))
    whole_ms = 1000 * (time.perf_counter() - start)
    assert answers[0].prefill_ms == answers[1].prefill_ms >= 20
    assert answers[0].decode_ms == answers[1].decode_ms >= 10
    assert sum(answer.prefill_ms + answer.decode_ms for answer in answers) <= whole_ms
