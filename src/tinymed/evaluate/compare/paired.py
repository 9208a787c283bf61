"""Two systems on the same questions: who is right where the other is not, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinymed.evaluate.compare.answers import Answers
from tinymed.evaluate.compare.mcnemar import McNemar, holm_adjusted, mcnemar
from tinymed.evaluate.intervals import percentile_interval, resampled_totals
from tinymed.evaluate.judging import Judged, judge_all
from tinymed.evaluate.metrics.table import METRICS
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.evaluate.score import cluster

Floats = npt.NDArray[np.float64]

PAIRED_METRICS = (
    "accuracy",
    "closed_accuracy",
    "llava_med_closed_published",
    "open_exact_match",
    "open_recall",
    "open_token_f1",
    "llava_med_open_recall",
)
"""What differences are given in; all judge every answer of their subset."""

_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedCounts:
    """Closed questions by who decided them rightly (`closed_accuracy`)."""

    both_right: int
    only_reference: int
    only_other: int
    both_wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much better the other system is than the reference under one metric."""

    metric: str
    subset: str
    reference: float
    """Value of the reference, a fraction in [0, 1]."""
    other: float
    value: float
    """`other` less `reference`."""
    interval: tuple[float, float]
    """95 %, both systems resampled together, whole images at a time."""
    other_sign_share: float | None
    """Share of resamples in which the difference is nought or has the other sign. It says
    how steady the sign is and is no p-value; None where there is no difference."""
    num_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One system against the reference."""

    reference: str
    other: str
    num_samples: int
    num_groups: int
    """Clusters of the bootstrap: patients or images."""
    num_same_text: int
    """Answers that are the same letter by letter."""
    num_same_words: int
    """Answers that are the same once normalized (`normalized_words`)."""
    closed: ClosedCounts | None
    """None where no question is closed."""
    test: McNemar | None
    """On `closed`."""
    holm: McNemar | None
    """The same, adjusted by Holm's method for the number of comparisons; None for one."""
    differences: tuple[Difference, ...]

    @property
    def are_identical(self) -> bool:
        """Whether every answer is the same letter by letter."""
        return self.num_same_text == self.num_samples


def compare_with_first(answers: Sequence[Answers], *, seed: int = 0) -> tuple[Comparison, ...]:
    """Compare every further system with the first, on the same resamples.

    Args:
        answers: All over the same samples in the same order.
        seed: Of the bootstrap.
    """
    first, *others = answers
    by_name = {metric.name: metric for metric in METRICS}
    metrics = [by_name[name] for name in PAIRED_METRICS]
    groups = [cluster(pair.sample) for pair in first.pairs]
    judged = [
        [one for one in judge_all(metrics, each.pairs, num_pairs=len(groups)) if one.counts.any()]
        for each in answers
    ]
    totals = _Totals.of(judged, groups, seed=seed)
    found = [
        _compare(first, other, judged[0], judged[1 + place], totals.differences(1 + place))
        for place, other in enumerate(others)
    ]
    return _with_holm(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Totals:
    """Sums over the samples and over every resample of them."""

    judged: Sequence[Sequence[Judged]]
    sums: Floats
    """Shape (systems, metrics)."""
    counts: Floats
    """Samples each metric is over, shape (metrics,)."""
    resampled_sums: Floats
    """Shape (resamples, systems, metrics)."""
    resampled_counts: Floats
    """Shape (resamples, metrics)."""
    num_groups: npt.NDArray[np.intp]
    """Clusters each metric is over, shape (metrics,)."""

    @classmethod
    def of(cls, judged: Sequence[Sequence[Judged]], groups: Sequence[str], *, seed: int) -> _Totals:
        counts = np.column_stack([one.counts for one in judged[0]]).astype(np.float64)
        values = [one.values for each in judged for one in each]
        resampled = resampled_totals(np.column_stack([*values, counts]), groups, seed=seed)
        shape = (len(judged), len(judged[0]))
        names = np.array(groups)
        return cls(
            judged=judged,
            sums=np.array([value.sum() for value in values]).reshape(shape),
            counts=counts.sum(axis=0),
            resampled_sums=resampled[:, : len(values)].reshape(-1, *shape),
            resampled_counts=resampled[:, len(values) :],
            num_groups=np.array([len(set(names[one.counts])) for one in judged[0]]),
        )

    def differences(self, place: int) -> tuple[Difference, ...]:
        """The differences of the system at `place` from the first, metric by metric."""
        with np.errstate(invalid="ignore"):
            resampled = (
                self.resampled_sums[:, place] - self.resampled_sums[:, 0]
            ) / self.resampled_counts
        means = self.sums / self.counts
        return tuple(
            Difference(
                metric=one.metric.name,
                subset=one.metric.subset,
                reference=float(means[0, index]),
                other=float(means[place, index]),
                value=float((self.sums[place, index] - self.sums[0, index]) / self.counts[index]),
                # One cluster says nothing about others.
                interval=(-1.0, 1.0)
                if self.num_groups[index] == 1
                else _interval(resampled[:, index]),
                other_sign_share=_other_sign_share(
                    resampled[:, index], self.sums[place, index] - self.sums[0, index]
                ),
                num_samples=int(self.counts[index]),
            )
            for index, one in enumerate(self.judged[0])
        )


def _interval(values: Floats) -> tuple[float, float]:
    low, high = percentile_interval(values)
    # Beyond these digits stands only the order of summing, and so who was named first.
    return (round(low, _DIGITS), round(high, _DIGITS))


def _other_sign_share(resampled: Floats, difference: float) -> float | None:
    if difference == 0:
        return None
    drawn = resampled[~np.isnan(resampled)]
    return float(np.mean(drawn * np.sign(difference) <= 0))


def _compare(
    first: Answers,
    other: Answers,
    first_judged: Sequence[Judged],
    other_judged: Sequence[Judged],
    differences: tuple[Difference, ...],
) -> Comparison:
    texts = [
        (one.prediction.text, two.prediction.text)
        for one, two in zip(first.pairs, other.pairs, strict=True)
    ]
    closed = _closed_counts(_by_name(first_judged), _by_name(other_judged))
    return Comparison(
        reference=first.label,
        other=other.label,
        num_samples=len(texts),
        num_groups=len({cluster(pair.sample) for pair in first.pairs}),
        num_same_text=sum(one == two for one, two in texts),
        num_same_words=sum(normalized_words(one) == normalized_words(two) for one, two in texts),
        closed=closed,
        test=None if closed is None else mcnemar(closed.only_reference, closed.only_other),
        holm=None,
        differences=differences,
    )


def _by_name(judged: Sequence[Judged]) -> dict[str, Judged]:
    return {one.metric.name: one for one in judged}


def _closed_counts(first: Mapping[str, Judged], other: Mapping[str, Judged]) -> ClosedCounts | None:
    if "closed_accuracy" not in first:
        return None
    is_closed = first["closed_accuracy"].counts
    one = first["closed_accuracy"].values[is_closed] == 1
    two = other["closed_accuracy"].values[is_closed] == 1
    return ClosedCounts(
        both_right=int((one & two).sum()),
        only_reference=int((one & ~two).sum()),
        only_other=int((~one & two).sum()),
        both_wrong=int((~one & ~two).sum()),
    )


def _with_holm(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    tests = [one.test for one in comparisons if one.test is not None]
    if len(tests) < 2:  # noqa: PLR2004 - one comparison needs no adjustment
        return tuple(comparisons)
    exact = holm_adjusted([test.exact_p for test in tests])
    mid = holm_adjusted([test.mid_p for test in tests])
    return tuple(
        replace(one, holm=McNemar(exact_p=exact_p, mid_p=mid_p))
        for one, exact_p, mid_p in zip(comparisons, exact, mid, strict=True)
    )
