"""Scores of predictions: every metric, with n, interval and answers that decide nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinymed.errors import DataError
from tinymed.evaluate.breakdown import parts
from tinymed.evaluate.intervals import percentile_interval, resampled_totals, share_interval
from tinymed.evaluate.judging import Judged, judge_all
from tinymed.evaluate.metrics.table import METRICS, candidate_metric, overlap_metrics
from tinymed.evaluate.metrics.text_overlap import MAX_ORDER, bleu, bleu_counts, is_available
from tinymed.evaluate.pairing import Pair, pair
from tinymed.progress import Progress
from tinymed.records import Prediction, Sample, Score

Floats = npt.NDArray[np.float64]
_LARGE = 20_000
"""Samples from which on scoring takes seconds and shows how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """A score, and the same figure in each resample."""

    score: Score
    values: Floats
    """Shape (2000,); NaN where no sample was drawn. The n-th value of every score of the same
    samples and seed is of the same groups."""
    num_groups: int


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

    Returns:
        Each metric over its whole subset, then the honest ones over each modality, body
        part and question type. BLEU and ROUGE-L are left out where their libraries are
        not installed.

    Raises:
        DataError: If predictions and samples do not match one to one.
    """
    found = resampled_scores(samples, predictions, candidates=candidates, seed=seed)
    return [one.score for one in found]


def resampled_scores(
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    *,
    candidates: Sequence[str | int] | None = None,
    more_parts: Mapping[str, Sequence[str]] | None = None,
    overlap: bool = True,
    seed: int = 0,
) -> list[Resampled]:
    """What `score` gives, with the resamples that its intervals come from.

    `more_parts` names further dimensions to break the scores down by: a value for each sample.
    Without `overlap`, BLEU and ROUGE-L are left out.
    """
    pairs = pair(samples, predictions)
    metrics = [*METRICS, *(overlap_metrics() if overlap else ())]
    if candidates:
        metrics.insert(0, candidate_metric(candidates))
    judged = judge_all(metrics, _watched(pairs), num_pairs=len(pairs))
    groups = [cluster(sample) for sample in samples]
    figures = [
        *_means(judged),
        *(_bleus(pairs) if overlap else ()),
        *_means_of_parts(judged, parts(samples, more_parts)),
    ]
    return list(_scores(figures, groups, seed=seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """A figure that follows from sums over samples."""

    metric: str
    subset: str
    columns: tuple[Floats, ...]
    """What is summed, shape (samples,) each."""
    counts: npt.NDArray[np.bool_]
    """Which samples it is over, shape (samples,)."""
    num_unparsed: int
    bleu_order: int | None = None
    """None: the first column's sum over the second's; else BLEU of the ten sums."""

    def of(self, sums: Floats) -> Floats:
        """Its value for each row of summed columns; NaN where a row holds no sample."""
        if self.bleu_order is not None:
            return bleu(sums, order=self.bleu_order)
        values = np.full(len(sums), np.nan)
        np.divide(sums[:, 0], sums[:, 1], out=values, where=sums[:, 1] > 0)
        return values


def _means(judged: Sequence[Judged]) -> Iterator[_Figure]:
    for one in judged:
        yield from _mean(one, one.metric.subset, one.counts)


def _means_of_parts(
    judged: Sequence[Judged], masks: Mapping[str, npt.NDArray[np.bool_]]
) -> Iterator[_Figure]:
    for name, mask in masks.items():
        for one in judged:
            if one.metric.in_parts:
                yield from _mean(one, name, one.counts & mask)


def _mean(judged: Judged, subset: str, counts: npt.NDArray[np.bool_]) -> Iterator[_Figure]:
    if counts.any():
        yield _Figure(
            metric=judged.metric.name,
            subset=subset,
            columns=(np.where(counts, judged.values, 0.0), counts.astype(np.float64)),
            counts=counts,
            num_unparsed=int((judged.unparsed & counts).sum()),
        )


def _bleus(pairs: Sequence[Pair]) -> Iterator[_Figure]:
    is_open = np.array([one.sample.answer_type == "open" for one in pairs])
    if not is_open.any() or not is_available():
        return
    count = bleu_counts()
    rows = np.zeros((len(pairs), 2 * MAX_ORDER + 2))
    for row, one in zip(rows, pairs, strict=True):
        if one.sample.answer_type == "open":
            row[:] = count(one.prediction.text, one.sample.reference)
    columns = tuple(np.ascontiguousarray(rows.T))
    for order in range(1, MAX_ORDER + 1):
        yield _Figure(
            metric=f"open_bleu_{order}",
            subset="open",
            columns=columns,
            counts=is_open,
            num_unparsed=0,
            bleu_order=order,
        )


def _scores(figures: Sequence[_Figure], groups: Sequence[str], *, seed: int) -> Iterator[Resampled]:
    """Resample all figures at once: one drawing of groups serves every column."""
    place: dict[bytes, int] = {}
    columns: list[Floats] = []
    wanted = []
    for figure in figures:
        own = []
        for column in figure.columns:
            key = sha256(column.data).digest()
            if key not in place:
                place[key] = len(columns)
                columns.append(column)
            own.append(place[key])
        wanted.append(own)
    if not columns:
        return
    matrix = np.column_stack(columns)
    sums = matrix.sum(axis=0, keepdims=True)
    resampled = resampled_totals(matrix, groups, seed=seed)
    _, number_of_group = np.unique(groups, return_inverse=True)
    for figure, own in zip(figures, wanted, strict=True):
        values = figure.of(resampled[:, own])
        num_groups = len(np.unique(number_of_group[figure.counts]))
        score = Score(
            metric=figure.metric,
            subset=figure.subset,
            value=float(figure.of(sums[:, own])[0]),
            interval=_interval(figure, values, num_groups=num_groups),
            num_samples=int(figure.counts.sum()),
            num_unparsed=figure.num_unparsed,
        )
        yield Resampled(score=score, values=values, num_groups=num_groups)


def _interval(figure: _Figure, values: Floats, *, num_groups: int) -> tuple[float, float]:
    # BLEU is no share of anything, so the exact bound of a share does not hold for it.
    if figure.bleu_order is not None and num_groups > 1:
        return percentile_interval(values)
    return share_interval(values, num_groups=num_groups)


def _watched(pairs: Sequence[Pair]) -> Iterator[Pair]:
    if len(pairs) < _LARGE:
        yield from pairs
        return
    with Progress("scoring", total=len(pairs), unit="answer") as progress:
        for one in pairs:
            yield one
            progress.step()


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
