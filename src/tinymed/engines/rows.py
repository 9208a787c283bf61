"""Several questions side by side: one row each, padded on the right to one length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymed.engines.protocol import Answer

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

TOKENS_AT_ONCE = 256
"""Tokens read in one go, padding included: half as many take a sixth longer an answer, twice
as many no less time and, in `nano`, 100 MiB more memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Where the tokens that are read next stand, one row a question.

    Padding keeps its slots of the key-value cache, and no token ever sees them. It stands
    behind a question, so that each of its tokens finds the keys it would find alone in the
    slots where it would find them: sums then come out the same to the last bit.
    """

    positions: Integers
    """Shape (rows, tokens); counted in the row's own text, which is where rotation turns."""
    filled: Booleans
    """Shape (rows, cached + tokens); whether a slot of the cache holds a token, not padding."""

    @property
    def last(self) -> Integers:
        """Shape (rows,); which of the tokens read next is the last that is no padding."""
        num_tokens = self.positions.shape[1]
        last: Integers = self.filled[:, -num_tokens:].sum(axis=1) - 1
        return last

    @property
    def visible(self) -> Booleans:
        """Shape (rows, 1, tokens, cached + tokens); which slots a token sees: not the later."""
        num_tokens, num_slots = self.positions.shape[1], self.filled.shape[1]
        earlier = np.tri(num_tokens, num_slots, num_slots - num_tokens, dtype=np.bool_)
        return (self.filled[:, None] & earlier)[:, None]

    def following(self, kept: Sequence[int]) -> Rows:
        """One more token for the rows that go on."""
        filled = self.filled[list(kept)]
        return Rows(
            positions=filled.sum(axis=1, keepdims=True),
            filled=np.pad(filled, ((0, 0), (0, 1)), constant_values=True),
        )


def rows_of(lengths: Sequence[int], *, num_cached: int) -> Rows:
    """Texts of these many tokens, each the continuation of the same `num_cached` tokens.

    >>> rows = rows_of([1, 2], num_cached=1)
    >>> rows.filled.tolist(), rows.last.tolist()
    ([[True, True, False], [True, True, True]], [0, 1])
    >>> after = rows.following([0, 1])
    >>> after.positions.tolist(), after.filled.tolist()
    ([[2], [3]], [[True, True, False, True], [True, True, True, True]])
    """
    slots = np.arange(num_cached + max(lengths))
    filled = slots < num_cached + np.array(lengths)[:, None]
    return Rows(positions=np.tile(slots[num_cached:], (len(lengths), 1)), filled=filled)


def padded(questions: Sequence[Sequence[int]]) -> Integers:
    """Token ids, shape (rows, tokens); any id serves as padding, because nothing sees it.

    >>> padded([[5], [6, 7]]).tolist()
    [[5, 0], [6, 7]]
    """
    ids = np.zeros((len(questions), max(map(len, questions))), np.int64)
    for row, question in zip(ids, questions, strict=True):
        row[: len(question)] = question
    return ids


def answer_in_rounds(
    questions: Sequence[list[int]], answer: Callable[[list[list[int]]], list[Answer]]
) -> list[Answer]:
    """Answer questions of like length together, as many as TOKENS_AT_ONCE allows.

    Args:
        questions: Their token ids.
        answer: Answers questions side by side.
    """
    rounds: list[list[int]] = []
    for index in sorted(range(len(questions)), key=lambda index: -len(questions[index])):
        if not rounds or len(questions[rounds[-1][0]]) * (len(rounds[-1]) + 1) > TOKENS_AT_ONCE:
            rounds.append([])
        rounds[-1].append(index)
    answers: dict[int, Answer] = {}
    for together in rounds:
        answers.update(zip(together, answer([questions[index] for index in together]), strict=True))
    return [answers[index] for index in range(len(questions))]
