"""Answers that are decoded side by side, and that come and go between two tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tinymed.engines.decoding import Decoding
from tinymed.engines.protocol import Answer, EncodedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An answer that has come to its end."""

    ticket: int
    answer: Answer


class Batch(Protocol):
    """Continuous batching: questions about different images, one token of each at a step.

    Not for two threads at once. Its engine is not to be asked anything else by `answer` between
    `add` and the end of that answer, but `encode` and `score` may be called between two steps.
    """

    room: int
    """How many answers are decoded side by side; 1 where the engine cannot do better."""

    def __len__(self) -> int:
        """How many answers are on their way."""
        ...

    def add(
        self,
        image: EncodedImage,
        question: str,
        decoding: Decoding,
        on_text: Callable[[str, float], None],
    ) -> int:
        """Read a question, to be answered from the next step on.

        Args:
            image: What the engine's `encode` gave; not changed.
            question: In words.
            decoding: How to choose tokens.
            on_text: Receives each new piece of text, and the probability of the answer so far
                (the product over its tokens up to and including those of this piece), from
                within `step`.

        Returns:
            A ticket, by which it is finished or dropped.

        Raises:
            UserError: If question or answer do not fit the model, or the decoding is one this
                engine cannot do. Nothing has been added then.
            ValueError: If there is no room left; the caller is to look first.
        """
        ...

    def step(self) -> list[Finished]:
        """Decode one token of each answer; those that ended leave."""
        ...

    def drop(self, ticket: int) -> None:
        """Forget an answer, because nobody waits for it; nothing happens if it has ended.

        May be called by whoever receives a text.
        """
        ...
