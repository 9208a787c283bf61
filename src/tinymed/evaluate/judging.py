"""Every answer under every metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from tinymed.evaluate.metrics.table import Metric
from tinymed.evaluate.pairing import Pair
from tinymed.records import AnswerType

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one metric says of each sample; arrays of shape (samples,)."""

    metric: Metric
    values: Floats
    """In [0, 1]; 0 for a sample that the metric does not look at or cannot judge."""
    counts: npt.NDArray[np.bool_]
    """Which samples the metric's mean is over."""
    unparsed: npt.NDArray[np.bool_]
    """Which of those it could not judge."""


def judge_all(metrics: Sequence[Metric], pairs: Iterable[Pair], *, num_pairs: int) -> list[Judged]:
    """Judge every pair under every metric that looks at it.

    Sample by sample, so that a text is normalized once for all metrics.
    """
    shape = (len(metrics), num_pairs)
    values, counts, unparsed = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    looking = {
        answer_type: [
            (index, metric) for index, metric in enumerate(metrics) if metric.looks_at(answer_type)
        ]
        for answer_type in get_args(AnswerType)
    }
    for place, pair in enumerate(pairs):
        for index, metric in looking[pair.sample.answer_type]:
            value = metric.judge(pair)
            if value is not None:
                values[index, place] = value
            elif metric.drops:
                continue
            else:
                unparsed[index, place] = True
            counts[index, place] = True
    return [
        Judged(metric=metric, values=values[i], counts=counts[i], unparsed=unparsed[i])
        for i, metric in enumerate(metrics)
    ]
