"""Questions about one image that are read side by side, in whatever an engine caches them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinymed.engines.draft import Draft
from tinymed.engines.greedy import answer_greedily
from tinymed.engines.protocol import Answer
from tinymed.engines.sampling import Choice, likeliest

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Some questions about one image, while they are answered side by side.

    Both give logits of shape (questions or answers, vocabulary), good until the next call.
    """

    first: Callable[[], Floats]
    """Reads the questions."""
    following: Callable[[list[int], list[int]], Floats]
    """Reads one token of each answer that goes on. It is given which of the answers read last
    these are, by their places, and the tokens. A place that is given several times goes on in
    several ways."""


def answer_along(reading: Reading, drafts: Sequence[Draft], *, keep_logits: bool) -> list[Answer]:
    """Answer the questions of a reading greedily, a draft each; perhaps with first logits."""
    first_logits: list[Floats] = []

    def first() -> list[Choice]:
        logits = reading.first()
        if keep_logits:
            first_logits.extend(logits.copy())
        return [likeliest(row) for row in logits]

    def following(kept: list[int], tokens: list[int]) -> list[Choice]:
        return [likeliest(row) for row in reading.following(kept, tokens)]

    answers = answer_greedily(first, following, drafts)
    if not keep_logits:
        return answers
    return [
        replace(answer, first_token_logits=logits)
        for answer, logits in zip(answers, first_logits, strict=True)
    ]
