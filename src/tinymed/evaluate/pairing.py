"""Which answer belongs to which question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinymed.errors import DataError
from tinymed.records import Prediction, Sample

_NUM_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A sample and the prediction of the same id."""

    sample: Sample
    prediction: Prediction


def pair(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Pair]:
    """Join samples and predictions by id, in the order of the samples.

    Raises:
        DataError: If a sample has no prediction, a prediction no sample, or an id stands
            twice; names the first three of each.
    """
    by_id = {prediction.id: prediction for prediction in predictions}
    wanted = {sample.id for sample in samples}
    problems = [
        _problem(
            [sample.id for sample in samples if sample.id not in by_id],
            one="sample has no prediction",
            many="samples have no prediction",
        ),
        _problem(
            [prediction.id for prediction in predictions if prediction.id not in wanted],
            one="prediction answers no sample",
            many="predictions answer no sample",
        ),
        _problem(
            _repeated(prediction.id for prediction in predictions),
            one="id is predicted more than once",
            many="ids are predicted more than once",
        ),
        _problem(
            _repeated(sample.id for sample in samples),
            one="sample id stands more than once",
            many="sample ids stand more than once",
        ),
    ]
    found = [problem for problem in problems if problem]
    if found:
        raise DataError("Predictions do not match the samples: " + "; ".join(found) + ".")
    return [Pair(sample=sample, prediction=by_id[sample.id]) for sample in samples]


def _repeated(ids: Iterable[str]) -> list[str]:
    return [id_ for id_, count in Counter(ids).items() if count > 1]


def _problem(ids: Sequence[str], *, one: str, many: str) -> str:
    if not ids:
        return ""
    first = ", ".join(f"'{id_}'" for id_ in ids[:_NUM_NAMED])
    more = ", …" if len(ids) > _NUM_NAMED else ""
    return f"{len(ids)} {one if len(ids) == 1 else many} ({first}{more})"
