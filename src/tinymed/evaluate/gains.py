"""How much better a model is than a control, on the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.evaluate.intervals import percentile_interval
from tinymed.evaluate.score import Resampled


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The model's score less a control's."""

    metric: str
    subset: str
    value: float
    """A difference of fractions, in [-1, 1]."""
    interval: tuple[float, float]
    """95 %, paired: both scores in the same resamples of whole groups."""


def gains(model: Sequence[Resampled], control: Sequence[Resampled]) -> list[Gain]:
    """The gain over a control under every metric and part that both have.

    Both must come from the same samples and seed, so that their resamples are the same.
    One group says nothing about others: its interval is (-1, 1).
    """
    of_control = {(one.score.metric, one.score.subset): one for one in control}
    found = []
    for one in model:
        key = (one.score.metric, one.score.subset)
        other = of_control.get(key)
        if other is None:
            continue
        interval = (-1.0, 1.0)
        if one.num_groups > 1:
            interval = percentile_interval(one.values - other.values)
        found.append(
            Gain(
                metric=one.score.metric,
                subset=one.score.subset,
                value=one.score.value - other.score.value,
                interval=interval,
            )
        )
    return found
