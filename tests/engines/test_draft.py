from __future__ import annotations

import math

import pytest

from tinymed.engines.decoding import Decoding
from tinymed.engines.draft import Draft
from tinymed.engines.protocol import Answer
from tinymed.engines.sampling import Choice
from tinymed.engines.token_texts import TokenTexts
from tinymed.models.prompt import Prompt

HALF = math.log(0.5)


def written(
    prompt: Prompt, text: str, *, stop: tuple[str, ...] = (), max_new_tokens: int = 40
) -> tuple[Answer, list[tuple[str, float]]]:
    """An answer of these words, a token a byte and each as likely as not, and its pieces."""
    pieces: list[tuple[str, float]] = []
    draft = Draft(
        TokenTexts(prompt.tokenizer),
        {prompt.end_id},
        Decoding(max_new_tokens=max_new_tokens, stop=stop),
        num_prompt_tokens=5,
        on_text=lambda piece, probability: pieces.append((piece, probability)),
    )
    for token in [*prompt.tokenizer.encode(text).ids, prompt.end_id]:
        if not draft.goes_on_after(Choice(token, HALF)):
            break
    return draft.finish(prefill_ms=1, decode_ms=2), pieces


def test_an_answer_that_ends_by_itself_tells_its_end_token(prompt: Prompt) -> None:
    answer, pieces = written(prompt, "a€")
    assert (answer.text, answer.finish_reason, answer.num_tokens) == ("a€", "stop", 5)
    assert [token.text for token in answer.tokens] == ["a", "", "", "", ""]
    assert b"".join(token.token_bytes for token in answer.tokens) == "a€".encode()
    assert answer.tokens[-1].token_bytes == b""
    assert [piece for piece, _ in pieces] == ["a", "€"]
    assert [probability for _, probability in pieces] == pytest.approx([0.5, 0.5**4])
    assert answer.confidence == pytest.approx(0.5**5)
    assert answer.num_prompt_tokens == 5


def test_an_answer_that_has_no_more_room_says_so(prompt: Prompt) -> None:
    answer, _ = written(prompt, "left", max_new_tokens=3)
    assert (answer.text, answer.finish_reason, answer.num_tokens) == ("lef", "length", 3)
    answer, _ = written(prompt, "left", max_new_tokens=5)
    assert (answer.text, answer.finish_reason) == ("left", "stop")


def test_tokens_of_a_stop_text_are_counted_but_not_told(prompt: Prompt) -> None:
    answer, pieces = written(prompt, "left lung", stop=(" lu",))
    assert (answer.text, answer.finish_reason, answer.num_tokens) == ("left", "stop", 7)
    assert "".join(token.text for token in answer.tokens) == "left"
    assert answer.confidence == pytest.approx(0.5**7)
    assert "".join(piece for piece, _ in pieces) == "left"
    assert written(prompt, "left", stop=("l",))[0].tokens == ()


def test_a_piece_that_was_held_back_comes_with_the_probability_of_all_so_far(
    prompt: Prompt,
) -> None:
    _, pieces = written(prompt, "abc", stop=("bcd",))
    assert [piece for piece, _ in pieces] == ["a", "bc"]
    assert [probability for _, probability in pieces] == pytest.approx([0.5, 0.5**4])
