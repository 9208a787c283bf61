"""Greedy decoding: the one loop that every engine answers with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tinymed.engines.protocol import Answer
from tinymed.engines.stream import TextStream
from tinymed.models.prompt import Prompt

Choice = tuple[int, float]
"""The likeliest token and the logarithm of its probability."""


def answer_greedily(
    first: Callable[[], Choice],
    following: Callable[[int, int], Choice],
    prompt: Prompt,
    *,
    max_new_tokens: int,
    on_text: Callable[[str], None] | None,
) -> Answer:
    """Choose token after token until the end token or `max_new_tokens`.

    Args:
        first: Reads the question and chooses the first token.
        following: Reads one token, given how many were decoded before it, and chooses the next.
        prompt: Knows the end token and turns tokens into text.
        max_new_tokens: At least 1.
        on_text: Receives each new piece of text as it is decoded.
    """
    stream = TextStream(prompt.decode, on_text)
    ids: list[int] = []
    start = time.perf_counter()
    token, log_probability = first()
    chosen = time.perf_counter()
    while token != prompt.end_id:
        ids.append(token)
        stream.push(ids)
        if len(ids) == max_new_tokens:
            break
        token, more = following(token, len(ids) - 1)
        log_probability += more
    end = time.perf_counter()
    return Answer(
        text=stream.finish(ids),
        confidence=math.exp(log_probability),
        num_tokens=len(ids) + (token == prompt.end_id),
        prefill_ms=1000 * (chosen - start),
        decode_ms=1000 * (end - chosen),
    )
