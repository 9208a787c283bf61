"""Lanes of a batch as rows of one request's state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.engines.lanes import NUM_LANES
from tinymed.engines.openvino.cached_language import CachedLanguage
from tinymed.engines.rows import Rows

Floats = npt.NDArray[np.float32]

ENDED = 0
"""In a lane's place; lanes count from 1."""


class StateLanes:
    """Texts of different images and lengths, a row each; fulfils Lanes.

    Rows are padded to one length, and no token ever sees the padding. When a row joins, all are
    moved together, so that the state is never longer than its longest text and what was decoded
    since. A row that ends leaves with the next token read.
    """

    room = NUM_LANES

    def __init__(
        self,
        language: CachedLanguage,
        read_question: Callable[[Any, list[int]], tuple[Floats, list[Floats]]],
        embed: Callable[[Sequence[int]], Floats],
    ) -> None:
        """Keep the rows in a cache of their own, which nobody else uses.

        Args:
            language: Where they are read.
            read_question: Reads a question behind an image elsewhere: the logits behind it, and
                what the cache holds then, one row.
            embed: Embeddings of tokens, (tokens, hidden).
        """
        self._language = language
        self._read_question = read_question
        self._embed = embed
        self._num_begun = 0
        self._waiting: dict[int, list[Floats]] = {}
        """What is to join: a cache of one row for each lane."""
        self._lanes: list[int] = []
        """The lane of each row of the state; ENDED where nobody reads on."""
        self._rows = _rows_of_slots([])

    def begin(
        self,
        image: Any,
        asked: list[int],
        max_new_tokens: int,  # noqa: ARG002 (a state grows as it is filled)
    ) -> tuple[int, Floats]:
        """Read a question behind an image: its lane, and logits of shape (vocabulary,)."""
        logits, cache = self._read_question(image, asked)
        self._num_begun += 1
        self._waiting[self._num_begun] = cache
        return self._num_begun, logits

    def following(self, lanes: Sequence[int], tokens: Sequence[int]) -> Floats:
        """Read one token in each of some lanes: logits, (lanes, vocabulary), until the next call.

        Every lane is among them that was before and has not ended.
        """
        if self._waiting.keys() & set(lanes) or self._is_mostly_padding():
            self._join(lanes)
        kept = [self._lanes.index(lane) for lane in lanes]
        self._lanes, self._rows = list(lanes), self._rows.following(kept)
        return self._language.read(self._embed(tokens)[:, None], self._rows, continued=kept)

    def end(self, lane: int) -> None:
        """Forget a lane."""
        if self._waiting.pop(lane, None) is None:
            self._lanes[self._lanes.index(lane)] = ENDED
        if self._lanes and not self._waiting and not self._going():
            self._lanes, self._rows = [], _rows_of_slots([])
            # A cache that is only emptied keeps the memory it has grown to.
            self._language = self._language.another()

    def _going(self) -> list[int]:
        """Rows that somebody reads on."""
        return [row for row, lane in enumerate(self._lanes) if lane != ENDED]

    def _is_mostly_padding(self) -> bool:
        """Whether a text has left that was much longer than the others."""
        filled = self._rows.filled
        return bool(filled.shape[1] > 2 * filled[self._going()].sum(axis=1).max())

    def _join(self, lanes: Sequence[int]) -> None:
        """Put the rows that go on and those that wait into one state, without their padding."""
        going = self._going()
        slots = [np.flatnonzero(self._rows.filled[row]) for row in going]
        waiting = {lane: self._waiting.pop(lane) for lane in lanes if lane in self._waiting}
        slots += [np.arange(cache[0].shape[2]) for cache in waiting.values()]
        rows = _rows_of_slots([len(filled) for filled in slots])

        def join(layer: int, before: Floats) -> Floats:
            parts = [before[row] for row in going]
            parts += [cache[layer][0] for cache in waiting.values()]
            heads, _, size = parts[0].shape
            whole = np.zeros((len(parts), heads, rows.filled.shape[1], size), np.float32)
            for row, part, filled in zip(whole, parts, slots, strict=True):
                row[:, : len(filled)] = part[:, filled]
            return whole

        self._language.change(join)
        self._lanes = [self._lanes[row] for row in going] + list(waiting)
        self._rows = rows


def _rows_of_slots(lengths: Sequence[int]) -> Rows:
    """Texts of these many tokens that stand at their rows' beginning."""
    numbers = np.array(lengths, np.int64)
    return Rows(
        positions=numbers[:, None] - 1,
        filled=np.arange(max(lengths, default=0)) < numbers[:, None],
    )
