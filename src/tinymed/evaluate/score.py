"""Scores of predictions: every metric, with n, interval and answers that decide nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tinymed.errors import DataError
from tinymed.evaluate.intervals import bootstrap_interval
from tinymed.evaluate.metrics.table import METRICS, Metric, candidate_metric
from tinymed.evaluate.pairing import Pair, pair
from tinymed.records import Prediction, Sample, Score


def score(
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    *,
    candidates: Sequence[str | int] | None = None,
    seed: int = 0,
) -> list[Score]:
    """Score predictions under every metric that has samples to judge.

    `num_samples` is what the metric's own mean is over: `llava_med_closed_run_eval_before_fix`
    loses its wrong answers, and `medevalkit_closed` takes every sample whose reference is yes
    or no and no other. Honest metrics lose nothing: what they cannot judge is wrong.

    Args:
        samples: The questions, with group for the interval (else image, else id).
        predictions: One for each sample, in any order.
        candidates: Answers for `llava_med_open_candidate`; without them it is left out.
        seed: Of the bootstrap.

    Raises:
        DataError: If predictions and samples do not match one to one.
    """
    pairs = pair(samples, predictions)
    metrics = list(METRICS)
    if candidates:
        metrics.insert(0, candidate_metric(candidates))
    scores = (_score(metric, pairs, seed=seed) for metric in metrics)
    return [one for one in scores if one is not None]


def _score(metric: Metric, pairs: Sequence[Pair], *, seed: int) -> Score | None:
    judged = [(one, metric.judge(one)) for one in pairs if _is_judged(metric, one)]
    if metric.drops:
        judged = [(one, value) for one, value in judged if value is not None]
    if not judged:
        return None
    values = [value or 0.0 for _, value in judged]
    return Score(
        metric=metric.name,
        subset=metric.subset,
        value=sum(values) / len(values),
        interval=bootstrap_interval(values, [cluster(one.sample) for one, _ in judged], seed=seed),
        num_samples=len(values),
        num_unparsed=sum(value is None for _, value in judged),
    )


def _is_judged(metric: Metric, one: Pair) -> bool:
    every_type = metric.every_type or metric.subset == "all"
    return every_type or one.sample.answer_type == metric.subset


def cluster(sample: Sample) -> str:
    """What a sample stands or falls with: its group, else its image, else itself."""
    return sample.group or (str(sample.image) if sample.image else sample.id)


def read_candidates(path: Path) -> list[str | int]:
    """Read candidate answers: a list, or an object with the list under "0" or "candidates".

    Raises:
        DataError: If the file holds no such list.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read candidates from '{path}': {error}.") from error
    if isinstance(content, dict):
        content = content.get("0", content.get("candidates"))
    if not isinstance(content, list) or not content:
        raise DataError(
            f"'{path}' holds no candidates: write a list of answers, or "
            'an object with the list under "0" or "candidates".'
        )
    if any(isinstance(one, bool) or not isinstance(one, str | int) for one in content):
        raise DataError(f"'{path}' holds a candidate that is neither text nor a whole number.")
    return content
