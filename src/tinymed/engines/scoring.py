"""How likely given answers are: read token by token, side by side behind one question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinymed.engines.decoding import ScoredChoice
from tinymed.engines.reading import Reading
from tinymed.engines.token_texts import TokenTexts
from tinymed.errors import ConfigError

CHOICES_AT_ONCE = 32
"""Choices read side by side; each costs a row of logits."""


def log_probability(logits: npt.NDArray[np.float32], token: int) -> float:
    """The logarithm of a token's probability; logits of shape (vocabulary,).

    >>> round(log_probability(np.zeros(4, np.float32), 2), 3)
    -1.386
    """
    shifted = logits.astype(np.float64) - float(logits.max())
    return float(shifted[token] - np.log(np.exp(shifted).sum()))


def check_choices(choices: Sequence[str], wanted: Sequence[Sequence[object]], *, room: int) -> None:
    """Refuse a choice that would not fit behind what is read before it.

    Args:
        choices: As they are written.
        wanted: Their tokens.
        room: Tokens that fit behind the question.

    Raises:
        ConfigError: If one does not fit.
    """
    for choice, ids in zip(choices, wanted, strict=True):
        if len(ids) > room:
            raise ConfigError(
                f"The choice '{choice[:40]}' has {len(ids)} tokens; after this question the "
                f"model has room for {room}."
            )


def score_along(reading: Reading, wanted: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log probability of each token of some answers to the one question of a reading.

    Args:
        reading: Has not read its question yet.
        wanted: The answers' token ids, at least one each.
    """
    scores: list[list[float]] = [[] for _ in wanted]
    going, rows = list(range(len(wanted))), [0] * len(wanted)
    logits = reading.first()
    while True:
        for choice, row in zip(going, rows, strict=True):
            token = wanted[choice][len(scores[choice])]
            scores[choice].append(log_probability(logits[row], token))
        # The places, among those read last, of answers that have tokens left.
        kept = [
            place for place, choice in enumerate(going) if len(scores[choice]) < len(wanted[choice])
        ]
        if not kept:
            return scores
        before = [rows[place] for place in kept]
        going = [going[place] for place in kept]
        rows = list(range(len(going)))
        logits = reading.following(
            before, [wanted[choice][len(scores[choice]) - 1] for choice in going]
        )


def scored(
    text: str,
    ids: Sequence[int],
    scores: Sequence[float],
    texts: TokenTexts,
    *,
    num_prompt_tokens: int,
) -> ScoredChoice:
    """A choice with what its tokens scored, and how much was read before it."""
    return ScoredChoice(
        text=text,
        log_probability=sum(scores),
        tokens=tuple(texts.chosen(*one) for one in zip(ids, scores, strict=True)),
        num_prompt_tokens=num_prompt_tokens,
    )
