"""What a build must hold to, by how coarse its weights are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinymed.models.schemes import PARTS

MIN_CLOSED_QUESTIONS = 100
"""Below this a share of same answers says too little to pass anything."""
MAX_ACCURACY_LOST = 0.02
"""Of closed accuracy on a user's samples; fails where the whole interval lies beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Bounds for one coarseness; docs/quantization.md tells how each was found."""

    name: str
    max_logit_difference: float | None
    """Largest difference of first-token logits, as a share of their range."""
    min_same_closed: float
    """Share of closed questions answered as the reference does."""
    all_answers_same: bool
    """Whether every answer must be the reference's, but for ties that the logits show."""
    max_error: Mapping[str, float]
    """Largest relative error (median over the tensors) of each stage, which a build that
    lacks something does not keep to even where its answers coincide."""


FULL = Rules(
    name="full precision",
    max_logit_difference=1e-3,
    min_same_closed=0.99,
    all_answers_same=True,
    max_error={"vision_features": 5e-3, "image_tokens": 5e-3, "first_token_logits": 5e-3},
)
FLOAT16 = Rules(
    name="float16",
    max_logit_difference=5e-3,
    min_same_closed=0.99,
    all_answers_same=False,
    max_error={"vision_features": 0.02, "image_tokens": 0.02, "first_token_logits": 0.02},
)
BFLOAT16 = Rules(
    name="bfloat16",
    max_logit_difference=None,
    min_same_closed=0.99,
    all_answers_same=False,
    max_error={"vision_features": 0.05, "image_tokens": 0.05, "first_token_logits": 0.1},
)
EIGHT_BITS = Rules(
    name="8 bits",
    max_logit_difference=None,
    min_same_closed=0.99,
    all_answers_same=False,
    max_error={"vision_features": 0.08, "image_tokens": 0.08, "first_token_logits": 0.12},
)
FOUR_BITS = Rules(
    name="4 bits",
    max_logit_difference=None,
    min_same_closed=0.97,
    all_answers_same=False,
    max_error={"vision_features": 0.3, "image_tokens": 0.3, "first_token_logits": 0.3},
)

_BY_COARSENESS = (FULL, FLOAT16, BFLOAT16, EIGHT_BITS, FOUR_BITS)
BY_PRECISION = {
    "f32": FULL,
    "f16": FLOAT16,
    "bf16": BFLOAT16,
    "int8": EIGHT_BITS,
    "q8_0": EIGHT_BITS,
    "int4": FOUR_BITS,
    "q4_k_m": FOUR_BITS,
    "nf4": FOUR_BITS,
    "published": FOUR_BITS,
}
"""Every precision that a scheme or a build names."""

_PARTS_BEFORE = {"vision_features": PARTS[:1], "image_tokens": PARTS[:2]}


def rules_for(precisions: Mapping[str, str]) -> Rules:
    """The rules of a build's coarsest part; a stage is judged by the parts that it passed.

    So 4 bits in the language model excuse nothing in front of it.

    Args:
        precisions: Of each of `schemes.PARTS`.

    Example:
        >>> rules = rules_for(
        ...     {"vision_encoder": "f32", "connector": "int8", "language_model": "int4"}
        ... )
        >>> rules.name, rules.max_error["vision_features"] == FULL.max_error["vision_features"]
        ('4 bits', True)
    """
    coarsest = _coarsest([precisions[part] for part in PARTS])
    passed = {
        stage: _coarsest([precisions[part] for part in _PARTS_BEFORE.get(stage, PARTS)])
        for stage in coarsest.max_error
    }
    return Rules(
        name=coarsest.name,
        max_logit_difference=coarsest.max_logit_difference,
        min_same_closed=coarsest.min_same_closed,
        all_answers_same=coarsest.all_answers_same,
        max_error={stage: rules.max_error[stage] for stage, rules in passed.items()},
    )


def _coarsest(precisions: list[str]) -> Rules:
    return max((BY_PRECISION[one] for one in precisions), key=_BY_COARSENESS.index)
