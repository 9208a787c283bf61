"""Greedy decoding: the one loop that every engine answers with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tinymed.engines.draft import Draft
from tinymed.engines.protocol import Answer
from tinymed.engines.sampling import Choice
from tinymed.errors import ConfigError


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
    drafts: Sequence[Draft],
) -> list[Answer]:
    """Choose token after token until each answer ends.

    Args:
        first: Reads the questions and chooses the first token of each answer.
        following: Reads one token of each answer that goes on and chooses the next. It is
            given which of the answers read last these are, by their places, and the tokens.
        drafts: The answers, not begun yet.
    """
    start = time.perf_counter()
    choices = first()
    chosen = time.perf_counter()
    going = list(drafts)
    while True:
        kept = [
            place
            for place, (draft, choice) in enumerate(zip(going, choices, strict=True))
            if draft.goes_on_after(choice)
        ]
        if not kept:
            break
        going = [going[place] for place in kept]
        choices = following(kept, [draft.last_token for draft in going])
    end = time.perf_counter()
    return [
        draft.finish(
            prefill_ms=1000 * (chosen - start) / len(drafts),
            decode_ms=1000 * (end - chosen) / len(drafts),
        )
        for draft in drafts
    ]
