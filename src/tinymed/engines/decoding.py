"""How an answer is decoded, and what is told of its tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tinymed.errors import ConfigError

FinishReason = Literal["stop", "length"]
"""Whether an answer ended by itself (or at a stop text), or had no more room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How an answer is decoded: greedily, unless told otherwise."""

    max_new_tokens: int = 64
    stop: tuple[str, ...] = ()
    """Texts before the first of which an answer ends; none of them is shown."""
    temperature: float = 0.0
    """0 takes the likeliest token; else logits are divided by it, and tokens drawn."""
    top_p: float = 1.0
    """Tokens are drawn from the likeliest that together have this probability; in (0, 1]."""
    seed: int | None = None
    """Of the draws: the same seed, model and machine give the same answer. None draws anew."""
    top_logprobs: int = 0
    """How many alternatives are told of each token, the likeliest first; 0 to 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A token that could have been chosen."""

    text: str
    token_bytes: bytes
    log_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenToken:
    """A token of an answer. Log probabilities are the model's own, before any temperature."""

    text: str
    """"" for a control token, and for a part of a character."""
    token_bytes: bytes
    log_probability: float
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredChoice:
    """How likely a model finds one of several answers."""

    text: str
    log_probability: float
    """Of exactly this answer, its end token included."""
    tokens: tuple[ChosenToken, ...]
    """The end token is the last."""
    num_prompt_tokens: int = 0
    """Read before it, image tokens included."""


MAX_ALTERNATIVES = 20


def check_decoding(decoding: Decoding) -> None:
    """Refuse a decoding that says what no engine can do; the room it asks for is checked apart.

    Raises:
        ConfigError: If it does.

    Example:
        >>> check_decoding(Decoding(top_p=0))
        Traceback (most recent call last):
        tinymed.errors.ConfigError: top_p is 0; it has to be above 0 and at most 1.
    """
    if not (math.isfinite(decoding.temperature) and decoding.temperature >= 0):
        raise ConfigError(f"temperature is {decoding.temperature}; it has to be 0 or more.")
    if not 0 < decoding.top_p <= 1:
        raise ConfigError(f"top_p is {decoding.top_p}; it has to be above 0 and at most 1.")
    if not 0 <= decoding.top_logprobs <= MAX_ALTERNATIVES:
        raise ConfigError(
            f"top_logprobs is {decoding.top_logprobs}; it has to be 0 to {MAX_ALTERNATIVES}."
        )
    if "" in decoding.stop:
        raise ConfigError("A stop text is empty, and would end every answer before it begins.")
