"""Where the answers of a batch are read: each in a lane of its own, behind its own image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinymed.engines.reading import Reading

Floats = npt.NDArray[np.float32]

NUM_LANES = 8
"""How many answers are read side by side: more wait longer for each other than they gain."""


class Lanes(Protocol):
    """Texts that grow side by side, each the continuation of its own image.

    An engine's `encode` and `score` between two calls change nothing in them.
    """

    room: int
    """How many there can be."""

    def begin(self, image: Any, asked: list[int], max_new_tokens: int) -> tuple[int, Floats]:
        """Read a question behind an image: its lane, and logits of shape (vocabulary,).

        Args:
            image: What `encode` gave as an image's state.
            asked: The question's token ids.
            max_new_tokens: How many more the lane will be given, at most.
        """
        ...

    def following(self, lanes: Sequence[int], tokens: Sequence[int]) -> Floats:
        """Read one token in each of some lanes: logits, (lanes, vocabulary), until the next call.

        Every lane is among them that was before and has not ended.
        """
        ...

    def end(self, lane: int) -> None:
        """Forget a lane."""
        ...


class OneLane:
    """A single lane, for engines that read no two images side by side; fulfils Lanes."""

    room = 1

    def __init__(
        self, reading: Callable[[Any, list[list[int]], int], AbstractContextManager[Reading]]
    ) -> None:
        """Read by an engine's way of reading questions, which `encode` and `score` leave alone.

        Args:
            reading: Is given an image's state, questions and how long answers may become.
        """
        self._open_reading = reading
        self._open = ExitStack()
        self._reading: Reading | None = None

    def begin(self, image: Any, asked: list[int], max_new_tokens: int) -> tuple[int, Floats]:
        """Read a question behind an image: its lane, and logits of shape (vocabulary,)."""
        with ExitStack() as opened:
            reading = opened.enter_context(self._open_reading(image, [asked], max_new_tokens))
            logits = reading.first()[0]
            self._open = opened.pop_all()
        self._reading = reading
        return 0, logits

    def following(self, lanes: Sequence[int], tokens: Sequence[int]) -> Floats:
        """Read one token: logits of shape (1, vocabulary), until the next call."""
        assert self._reading is not None
        return self._reading.following(list(lanes), list(tokens))

    def end(self, lane: int) -> None:  # noqa: ARG002 (there is but one)
        """Forget the lane."""
        self._reading = None
        self._open.close()
