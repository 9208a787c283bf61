"""Whether a model stands by its answer when asked the opposite question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinymed.evaluate.audit.figures import Figure, Resamples
from tinymed.evaluate.audit.twins import Twin
from tinymed.evaluate.metrics.verdict import yes_or_no
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.evaluate.score import cluster
from tinymed.records import Prediction, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarityRow:
    """Shares of pairs (a question and its twin), over one form of question or all.

    A coin would contradict itself in half the pairs and get a quarter of them right. An
    answer without a verdict counts as wrong, and its pair as undecided, never as a
    contradiction.
    """

    form: str
    """"all", "existence", "property" or "identity"."""
    contradiction: Figure
    """The same verdict to a question and its opposite: always_yes + always_no."""
    always_yes: Figure
    """Yes to both."""
    always_no: Figure
    """No to both."""
    undecided: Figure
    """No verdict to at least one of the two."""
    pair_accuracy: Figure
    """Both right."""
    presence_accuracy: Figure
    """Right as the data set asks it."""
    absence_accuracy: Figure
    """The twin right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polarity:
    """How answers hold up against the opposite question."""

    num_closed_yes_no: int
    """Closed questions whose reference is yes or no."""
    num_used: int
    """Of them, those for which a rule makes a twin."""
    share_used: float
    rows: tuple[PolarityRow, ...]
    """Empty without twins."""


def polarity(
    twins: Sequence[Twin],
    presence: Mapping[str, Prediction],
    absence: Mapping[str, Prediction],
    *,
    num_closed_yes_no: int,
    seed: int = 0,
) -> Polarity:
    """Judge the answers to questions and their twins, found by the sample's id.

    Contradictions are counted, never repaired: which of the two answers is wrong cannot be
    told without the reference.
    """
    forms = ["all", *dict.fromkeys(twin.form for twin in twins)] if twins else []
    return Polarity(
        num_closed_yes_no=num_closed_yes_no,
        num_used=len(twins),
        share_used=len(twins) / num_closed_yes_no if num_closed_yes_no else 0.0,
        rows=tuple(
            _row(
                form,
                [twin for twin in twins if form in ("all", twin.form)],
                presence,
                absence,
                seed=seed,
            )
            for form in forms
        ),
    )


def _row(
    form: str,
    twins: Sequence[Twin],
    presence: Mapping[str, Prediction],
    absence: Mapping[str, Prediction],
    *,
    seed: int,
) -> PolarityRow:
    resamples = Resamples([cluster(twin.presence) for twin in twins], seed=seed)
    verdicts = [
        (_verdict(twin.presence, presence), _verdict(twin.absence, absence)) for twin in twins
    ]
    right = [
        (said == _wanted(twin.presence), of_twin == _wanted(twin.absence))
        for twin, (said, of_twin) in zip(twins, verdicts, strict=True)
    ]

    def share(claims: Sequence[bool]) -> Figure:
        return resamples.share(np.array(claims, dtype=np.float64))

    return PolarityRow(
        form=form,
        contradiction=share([pair in (("yes", "yes"), ("no", "no")) for pair in verdicts]),
        always_yes=share([pair == ("yes", "yes") for pair in verdicts]),
        always_no=share([pair == ("no", "no") for pair in verdicts]),
        undecided=share([None in pair for pair in verdicts]),
        pair_accuracy=share([all(pair) for pair in right]),
        presence_accuracy=share([pair[0] for pair in right]),
        absence_accuracy=share([pair[1] for pair in right]),
    )


def _verdict(sample: Sample, predictions: Mapping[str, Prediction]) -> str | None:
    return yes_or_no(predictions[sample.id].text, sample.question)


def _wanted(sample: Sample) -> str:
    return normalized_words(sample.reference)[0]
