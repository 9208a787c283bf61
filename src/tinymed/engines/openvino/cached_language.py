"""The language model's graph with the key-value cache that one request keeps as its state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from tinymed.engines.rows import Rows

Floats = npt.NDArray[np.float32]

MASKED = np.float32(-65504)
"""Lowest finite float16: below every score, and no infinity to turn into not-a-number."""


class CachedLanguage:
    """Reads tokens into its cache; empty after `forget`."""

    def __init__(self, request: Any) -> None:
        """Take a request that runs the language model's graph."""
        self._request = request
        self._states = request.query_state()

    @property
    def compiled(self) -> Any:
        """The graph as the plugin runs it."""
        return self._request.get_compiled_model()

    def another(self) -> CachedLanguage:
        """The same weights with a cache of its own."""
        return CachedLanguage(self.compiled.create_infer_request())

    def forget(self) -> None:
        """Empty the cache."""
        self._request.reset_state()

    def caches(self) -> list[Floats]:
        """The cache's content, keys and values of each layer: (rows, heads, slots, size) each."""
        return [state.state.data.copy() for state in self._states]

    def resume(self, caches: Sequence[Floats]) -> None:
        """Put a content into the cache, in place of its own."""
        for state, cache in zip(self._states, caches, strict=True):
            state.state = ov.Tensor(cache)

    def change(self, join: Callable[[int, Floats], Floats]) -> None:
        """Replace the cache's content, one array of `caches` after the other.

        Args:
            join: Is given an array's number and what it holds, and gives what it is to hold.
        """
        for index, state in enumerate(self._states):
            state.state = ov.Tensor(join(index, state.state.data))

    def read(self, embeds: Floats, rows: Rows, *, continued: Sequence[int]) -> Floats:
        """Read more tokens: the logits of each row's last, which hold until more is read.

        Args:
            embeds: Shape (rows, tokens, hidden).
            rows: Where the tokens stand.
            continued: The row of the cache that each row continues.
        """
        num_rows, num_tokens, _ = embeds.shape
        inputs = {
            "inputs_embeds": embeds,
            "position_ids": rows.positions,
            "attention_mask": np.where(rows.visible, np.float32(0), MASKED),
            "beam_idx": np.array(continued, np.int32),
            "logit_rows": np.arange(num_rows) * num_tokens + rows.last,
        }
        logits: Floats = self._request.infer(inputs, share_inputs=True, share_outputs=True)[0]
        return logits
