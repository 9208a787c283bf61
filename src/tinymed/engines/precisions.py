"""Which precision each part of a model gets in a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinymed.errors import ConfigError
from tinymed.models.language_gguf import NARROW
from tinymed.models.schemes import PARTS, Scheme
from tinymed.models.weights import ModelWeights


def chosen_precisions(
    scheme: Scheme,
    weights: ModelWeights,
    asked: Mapping[str, str] | None,
    *,
    known: Sequence[str],
    engine: str,
) -> dict[str, str]:
    """A scheme's precisions, but 8 bits for a language model that is too narrow for 4.

    Args:
        scheme: Sets one for each part.
        weights: Of the model.
        asked: Of single parts, where they are to differ from all that.
        known: The engine's precisions.
        engine: Its name, for people.

    Raises:
        ConfigError: If a precision is unknown.
    """
    chosen = {part: scheme.precision(part) for part in PARTS}
    if chosen["language_model"] == "int4" and is_narrow(weights):
        chosen["language_model"] = "int8"
    chosen |= asked or {}
    for part, precision in chosen.items():
        if precision not in known:
            raise ConfigError(
                f"No precision '{precision}' for the {part.replace('_', ' ')} in {engine}. "
                f"Known: {', '.join(known)}."
            )
    return chosen


def is_narrow(weights: ModelWeights) -> bool:
    """Whether a language model has so few numbers a token that it bears fewer bits badly."""
    return weights.language_config.hidden_size < NARROW
