"""The table of metrics: what each is called, and which samples it judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tinymed.evaluate.metrics import honest, published
from tinymed.evaluate.metrics.text_overlap import is_available, rouge_l
from tinymed.evaluate.pairing import Pair
from tinymed.records import AnswerType

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
    in_parts: bool = False
    """Whether it is also given for each modality, body part and question type."""

    def looks_at(self, answer_type: AnswerType) -> bool:
        """Whether samples of this answer type are of the metric's subset."""
        return self.every_type or self.subset in ("all", answer_type)


# "accuracy" asks again what the metric of its answer type has asked just before or after.
_closed = lru_cache(maxsize=1024)(honest.closed_accuracy)
_exact = lru_cache(maxsize=1024)(honest.open_exact_match)


def accuracy(pair: Pair) -> float | None:
    """`closed_accuracy` of a closed question, `open_exact_match` of an open one."""
    if pair.sample.answer_type == "closed":
        return _closed_accuracy(pair)
    return _exact(pair.prediction.text, pair.sample.reference)


def _closed_accuracy(pair: Pair) -> float | None:
    return _closed(pair.prediction.text, pair.sample.reference, pair.sample.question)


def _by_texts(judge: Callable[[str, str], float | None]) -> Callable[[Pair], float | None]:
    return lambda pair: judge(pair.prediction.text, pair.sample.reference)


def _published(name: str, subset: Subset, judge: Callable[[str, str], float | None]) -> Metric:
    return Metric(name=name, subset=subset, judge=_by_texts(judge), drops=True)


def _honest(name: str, subset: Subset, judge: Callable[[Pair], float | None]) -> Metric:
    return Metric(name=name, subset=subset, judge=judge, is_published=False, in_parts=True)


METRICS: tuple[Metric, ...] = (
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
    _honest("open_exact_match", "open", _by_texts(_exact)),
    _honest("open_recall", "open", _by_texts(honest.open_recall)),
    _honest("open_token_f1", "open", _by_texts(honest.open_token_f1)),
)


def candidate_metric(candidates: Sequence[str | int]) -> Metric:
    """`llava_med_open_candidate`, which needs the candidate answers."""
    judge = published.Candidates(candidates).accuracy
    return _published("llava_med_open_candidate", "open", judge)


def overlap_metrics() -> list[Metric]:
    """`open_rouge_l`, where its library is installed; BLEU is no mean of answers' values."""
    if not is_available():
        return []
    return [
        Metric(name="open_rouge_l", subset="open", judge=_by_texts(rouge_l()), is_published=False)
    ]
