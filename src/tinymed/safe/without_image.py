"""Whether an answer would have been the same without the image."""

from __future__ import annotations

import math

HARDLY_HIGHER = 0.25
"""Log odds by which a confidence has to be above that without the image: 50 % against 44 %.
Chosen on SLAKE's validation split with `nano`, where it finds more wrong answers for each right
one than 0 does. Whether the answer stays the same told nothing there: 72 % of closed answers
stay, and are right as often as those that change."""
_CLIP = 1e-6


def is_unchanged(confidence: float, confidence_without: float) -> bool:
    """Whether a model is hardly surer of an answer than it is of the same about a black image.

    In log odds, so that 99.9 % against 99 % counts as much as 80 % against 28 %. An answer
    that the black image turns round is found only where the model was hardly sure of either.

    Args:
        confidence: Of the answer, asked about the image, in [0, 1].
        confidence_without: Of the same answer, asked about a black image.

    >>> is_unchanged(0.9, 0.9), is_unchanged(0.9, 0.95), is_unchanged(0.9, 0.5)
    (True, True, False)
    """
    return _log_odds(confidence) - _log_odds(confidence_without) < HARDLY_HIGHER


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, _CLIP), 1 - _CLIP)
    return math.log(clipped) - math.log1p(-clipped)
