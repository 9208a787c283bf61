"""The table of metrics: what each is called, and which samples it judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tinymed.evaluate.metrics import honest, published
from tinymed.evaluate.pairing import Pair

Subset = Literal["all", "open", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric over one subset."""

    name: str
    subset: Subset
    judge: Callable[[Pair], float | None]
    """A value in [0, 1], or None for an answer that the metric cannot judge."""
    drops: bool = False
    """Whether None leaves the mean, as two published scorers have it, or counts as wrong."""
    every_type: bool = False
    """Whether it looks at samples of every answer type and tells by itself which it judges."""
    is_published: bool = True
    """Published for comparison, or honest."""


def accuracy(pair: Pair) -> float | None:
    """`closed_accuracy` of a closed question, `open_exact_match` of an open one."""
    if pair.sample.answer_type == "closed":
        return _closed_accuracy(pair)
    return honest.open_exact_match(pair.prediction.text, pair.sample.reference)


def _closed_accuracy(pair: Pair) -> float | None:
    return honest.closed_accuracy(pair.prediction.text, pair.sample.reference, pair.sample.question)


def _by_texts(judge: Callable[[str, str], float | None]) -> Callable[[Pair], float | None]:
    return lambda pair: judge(pair.prediction.text, pair.sample.reference)


def _published(name: str, subset: Subset, judge: Callable[[str, str], float | None]) -> Metric:
    return Metric(name=name, subset=subset, judge=_by_texts(judge), drops=True)


def _honest(name: str, subset: Subset, judge: Callable[[Pair], float | None]) -> Metric:
    return Metric(name=name, subset=subset, judge=judge, is_published=False)


METRICS = (
    _published("llava_med_open_recall", "open", published.llava_med_open_recall),
    _published("llava_med_open_precision", "open", published.llava_med_open_precision),
    _published("llava_med_open_f1", "open", published.llava_med_open_f1),
    _published("llava_med_open_exact", "open", published.llava_med_open_exact),
    _published("llava_med_open_substring", "open", published.llava_med_open_substring),
    _published("llava_med_closed_published", "closed", published.llava_med_closed_published),
    _published("llava_med_closed_run_eval", "closed", published.llava_med_closed_run_eval),
    _published(
        "llava_med_closed_run_eval_before_fix",
        "closed",
        published.llava_med_closed_run_eval_before_fix,
    ),
    _published("tinyllava_med_closed", "closed", published.tinyllava_med_closed),
    # Its own idea of closed: the reference is yes or no, whatever the data set calls it.
    Metric(
        name="medevalkit_closed",
        subset="closed",
        judge=_by_texts(published.medevalkit_closed),
        drops=True,
        every_type=True,
    ),
    _honest("accuracy", "all", accuracy),
    _honest("closed_accuracy", "closed", _closed_accuracy),
    _honest("open_exact_match", "open", _by_texts(honest.open_exact_match)),
    _honest("open_recall", "open", _by_texts(honest.open_recall)),
    _honest("open_token_f1", "open", _by_texts(honest.open_token_f1)),
)


def candidate_metric(candidates: Sequence[str | int]) -> Metric:
    """`llava_med_open_candidate`, which needs the candidate answers."""
    return _published(
        "llava_med_open_candidate",
        "open",
        lambda prediction, reference: published.llava_med_open_candidate(
            prediction, reference, candidates
        ),
    )
