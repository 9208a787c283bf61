"""Greedy decoding: the one loop that every engine answers with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tinymed.engines.protocol import Answer
from tinymed.engines.stream import TextStream
from tinymed.errors import ConfigError
from tinymed.models.prompt import Prompt

Choice = tuple[int, float]
"""The likeliest token and the logarithm of its probability."""


def likeliest(logits: npt.NDArray[np.float32]) -> Choice:
    """The likeliest token and the logarithm of its probability; logits of shape (vocabulary,)."""
    token = int(np.argmax(logits))
    shifted = logits.astype(np.float64) - float(logits[token])
    return token, -float(np.log(np.exp(shifted).sum()))


def check_room(num_tokens: int, max_new_tokens: int, *, context_tokens: int) -> None:
    """Refuse an answer that would not fit behind what is read before it.

    Raises:
        ConfigError: If it would not, or is to have no token at all.
    """
    room = context_tokens - num_tokens
    if not 1 <= max_new_tokens <= room:
        raise ConfigError(
            f"max_new_tokens is {max_new_tokens}; after this question the model has room "
            f"for 1 to {room} tokens."
        )


def answer_greedily(
    first: Callable[[], Sequence[Choice]],
    following: Callable[[list[int], list[int]], Sequence[Choice]],
    prompt: Prompt,
    *,
    max_new_tokens: int,
    on_text: Callable[[str], None] | None = None,
) -> list[Answer]:
    """Choose token after token until the end token or `max_new_tokens`, for each question.

    Args:
        first: Reads the questions and chooses the first token of each answer.
        following: Reads one token of each answer that goes on and chooses the next. It is
            given which of the answers read last these are, by their places, and the tokens.
        prompt: Knows the end token and turns tokens into text.
        max_new_tokens: At least 1.
        on_text: Receives each new piece of text as it is decoded; for one question.
    """
    start = time.perf_counter()
    choices = first()
    chosen = time.perf_counter()
    drafts = [_Draft(prompt, max_new_tokens, on_text) for _ in choices]
    going = drafts
    while True:
        kept = [
            place
            for place, (draft, choice) in enumerate(zip(going, choices, strict=True))
            if draft.goes_on_after(choice)
        ]
        if not kept:
            break
        going = [going[place] for place in kept]
        choices = following(kept, [draft.ids[-1] for draft in going])
    end = time.perf_counter()
    return [
        Answer(
            text=draft.stream.finish(draft.ids),
            confidence=math.exp(draft.log_probability),
            num_tokens=draft.num_tokens,
            prefill_ms=1000 * (chosen - start) / len(drafts),
            decode_ms=1000 * (end - chosen) / len(drafts),
        )
        for draft in drafts
    ]


class _Draft:
    """An answer as far as it is decoded."""

    def __init__(
        self, prompt: Prompt, max_new_tokens: int, on_text: Callable[[str], None] | None
    ) -> None:
        self.stream = TextStream(prompt.decode, on_text)
        self.ids: list[int] = []
        self.log_probability = 0.0
        self.num_tokens = 0
        self._end_id = prompt.end_id
        self._max_new_tokens = max_new_tokens

    def goes_on_after(self, choice: Choice) -> bool:
        """Write one token down; whether another one follows."""
        token, log_probability = choice
        self.log_probability += log_probability
        self.num_tokens += 1
        if token == self._end_id:
            return False
        self.ids.append(token)
        self.stream.push(self.ids)
        return self.num_tokens < self._max_new_tokens
