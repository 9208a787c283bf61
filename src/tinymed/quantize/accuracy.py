"""What a build costs in accuracy on a user's own samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tinymed.engines.protocol import Engine
from tinymed.evaluate.asking import ask_all, own_images
from tinymed.evaluate.compare.answers import Answers
from tinymed.evaluate.compare.mcnemar import McNemar
from tinymed.evaluate.compare.paired import Difference, compare_with_first
from tinymed.evaluate.pairing import pair
from tinymed.evaluate.score import cluster
from tinymed.quantize.same_answers import Agreement, AnswerPair, agreement
from tinymed.records import Prediction, Sample

METRIC = "closed_accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleParity:
    """A build beside its reference on samples with known answers."""

    num_samples: int
    closed: Agreement
    open: Agreement
    change: Difference | None
    """Of closed accuracy: the build is `other`. None where no sample is closed."""
    test: McNemar | None
    """That both are right equally often on closed questions."""


def ask_samples(engine: Engine, samples: Sequence[Sample], *, label: str) -> list[Prediction]:
    """Ask an engine every sample as `evaluate run` does; the answers are not kept.

    Raises:
        ImageError: If an image cannot be read.
    """
    with TemporaryDirectory(prefix="tinymed-") as folder:
        path = Path(folder) / "predictions.jsonl"
        return ask_all(engine, samples, path, label=label, encode=own_images(engine))


def sample_parity(
    samples: Sequence[Sample], reference: Sequence[Prediction], build: Sequence[Prediction]
) -> SampleParity:
    """Compare two engines' answers to the same samples."""
    theirs, ours = pair(samples, reference), pair(samples, build)
    pairs = [
        AnswerPair(
            image=cluster(one.sample),
            question=one.sample.question,
            is_closed=one.sample.answer_type == "closed",
            reference=one.prediction.text,
            build=two.prediction.text,
        )
        for one, two in zip(theirs, ours, strict=True)
    ]
    systems = [
        Answers(label=label, pairs=answered, conditions={}, run=None)
        for label, answered in (("reference", theirs), ("build", ours))
    ]
    (comparison,) = compare_with_first(systems)
    change = next((one for one in comparison.differences if one.metric == METRIC), None)
    return SampleParity(
        num_samples=len(pairs),
        closed=agreement(pairs, closed=True),
        open=agreement(pairs, closed=False),
        change=change,
        test=comparison.test,
    )
