"""Choosing the next token: the likeliest, or one that is drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinymed.engines.decoding import Decoding

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class Choice(NamedTuple):
    """A token that was chosen, with the logarithm of its probability before any temperature."""

    token: int
    log_probability: float
    others: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens with theirs, where they were asked for."""


def likeliest(logits: Floats) -> Choice:
    """The likeliest token; logits of shape (vocabulary,)."""
    token = int(np.argmax(logits))
    shifted = logits.astype(np.float64) - float(logits[token])
    return Choice(token, -float(np.log(np.exp(shifted).sum())))


class Sampler:
    """Chooses the tokens of one answer."""

    def __init__(self, decoding: Decoding) -> None:
        """Begin an answer; with the same seed the same numbers are drawn again."""
        self._decoding = decoding
        # A generator takes no negative seed.
        seed = None if decoding.seed is None else decoding.seed % 2**64
        self._draws = np.random.default_rng(seed)

    def choose(self, logits: Floats) -> Choice:
        """Choose a token; logits of shape (vocabulary,)."""
        best = likeliest(logits)
        logs = logits.astype(np.float64) - float(logits[best.token]) + best.log_probability
        token = best.token if self._decoding.temperature == 0 else self._draw(logs)
        return Choice(token, float(logs[token]), _likeliest_of(logs, self._decoding.top_logprobs))

    def _draw(self, logs: Doubles) -> int:
        with np.errstate(over="ignore"):  # a tiny temperature makes all but the likeliest -inf
            weights = np.exp((logs - logs.max()) / self._decoding.temperature)
        tokens = _nucleus(weights / weights.sum(), self._decoding.top_p)
        totals = np.cumsum(weights[tokens])
        drawn = np.searchsorted(totals, self._draws.random() * totals[-1], side="right")
        return int(tokens[min(int(drawn), len(tokens) - 1)])


def _nucleus(probabilities: Doubles, top_p: float) -> npt.NDArray[np.int64]:
    """The likeliest tokens that together have a probability, and no more of them than it takes.

    Source:
        Holtzman et al., "The Curious Case of Neural Text Degeneration", arXiv:1904.09751, 3.1.

    >>> _nucleus(np.array([0.1, 0.5, 0.15, 0.25]), 0.7).tolist()
    [1, 3]
    """
    if top_p == 1:
        return np.arange(len(probabilities))
    # All tokens below have less than 1 - top_p together: sorting them too would only take time.
    few = np.flatnonzero(probabilities > (1 - top_p) / len(probabilities))
    few = few[np.argsort(-probabilities[few], kind="stable")]
    count = int(np.searchsorted(np.cumsum(probabilities[few]), top_p)) + 1
    return few[:count]


def _likeliest_of(logs: Doubles, count: int) -> tuple[tuple[int, float], ...]:
    if count == 0:
        return ()
    few = np.flatnonzero(logs >= np.partition(logs, -count)[-count])
    few = few[np.argsort(-logs[few], kind="stable")][:count]
    return tuple((int(token), float(logs[token])) for token in few)
