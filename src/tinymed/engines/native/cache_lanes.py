"""Lanes of a batch as rows of one cache, each behind its own image's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymed.engines.lanes import NUM_LANES
from tinymed.engines.native.language import LanguageModel, Read, Shared
from tinymed.engines.native.ops import Cache, Floats


class CacheLanes:
    """Texts of different images, a row each; fulfils Lanes.

    Nobody's sums depend on who else is there: the answers are those of `answer` to the last bit.
    """

    room = NUM_LANES

    def __init__(
        self,
        language: LanguageModel,
        embed: Callable[[Sequence[int]], Floats],
        lock: threading.Lock,
    ) -> None:
        """Begin with no lanes.

        Args:
            language: Reads them.
            embed: Embeddings of tokens, (tokens, hidden).
            lock: Of the engine, whose other calls compute in the same memory.
        """
        self._language = language
        self._embed = embed
        self._lock = lock
        self._caches: list[Cache] = []
        self._lengths: dict[int, int] = {}
        """Tokens of each lane, which is a row's number, behind its image."""
        self._images: dict[int, Shared] = {}

    def begin(self, image: Any, asked: list[int], max_new_tokens: int) -> tuple[int, Floats]:
        """Read a question behind an image: its lane, and logits of shape (vocabulary,)."""
        num_tokens = len(asked)
        self._make_room(num_tokens + max_new_tokens)
        lane = next(row for row in range(self.room) if row not in self._lengths)
        places = np.arange(num_tokens, dtype=np.int32)
        wanted = np.array([num_tokens - 1], np.int32)
        where = Read(rows=np.full_like(places, lane), places=places, wanted=wanted)
        self._images[lane] = Shared(caches=image.caches, num_tokens=image.num_tokens)
        logits = self._read(asked, where)
        self._lengths[lane] = num_tokens
        return lane, logits[0]

    def following(self, lanes: Sequence[int], tokens: Sequence[int]) -> Floats:
        """Read one token in each of some lanes: logits, (lanes, vocabulary)."""
        order = np.argsort(lanes)
        rows = np.array(lanes, np.int32)[order]
        where = Read(
            rows=rows,
            places=np.array([self._lengths[int(row)] for row in rows], np.int32),
            wanted=np.arange(len(rows), dtype=np.int32),
        )
        logits = self._read(np.array(tokens)[order].tolist(), where)
        for lane in lanes:
            self._lengths[lane] += 1
        return logits[np.argsort(order)]

    def end(self, lane: int) -> None:
        """Forget a lane."""
        del self._lengths[lane], self._images[lane]
        if not self._lengths:
            self._caches = []

    def _read(self, ids: list[int], where: Read) -> Floats:
        with self._lock:
            return self._language.read(self._embed(ids), where, self._caches, self._images)

    def _make_room(self, tokens: int) -> None:
        """Have caches whose rows are long enough."""
        before = self._caches
        if before and before[0].room >= tokens:
            return
        self._caches = self._language.new_caches(rows=self.room, tokens=tokens)
        # Not the rows that nobody uses: untouched, they take no memory.
        for lane in self._lengths:
            for old, new in zip(before, self._caches, strict=True):
                new.put(lane, old, lane)
