"""Whether a model's answers change when the image is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinymed.engines.protocol import Engine
from tinymed.evaluate.intervals import bootstrap_interval
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.images.prepare import prepare
from tinymed.progress import Progress
from tinymed.quantize.fixed_set import Case
from tinymed.quantize.observe import MAX_NEW_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class BlankedAnswers:
    """Answers with the image beside answers with a black one of the same size."""

    num_same: int
    """Answers of the same words either way. Yes and no agree by chance too, so a model that
    looks keeps many of them."""
    num_questions: int
    interval: tuple[float, float]
    """95 %, of `num_same / num_questions`, whole images resampled."""

    @property
    def image_matters(self) -> bool:
        """Whether any answer changed: a model none of whose answers do cannot be looking."""
        return self.num_same < self.num_questions


def image_matters(engine: Engine, cases: Sequence[Case]) -> BlankedAnswers:
    """Ask every case again about a black image of the same size.

    Args:
        engine: What is asked.
        cases: At least one; 8 pictures tell a model that is blind from one that looks.
    """
    same, images = [], []
    with Progress("blanked", total=sum(len(case.questions) for case in cases)) as progress:
        for case in cases:
            seen = _answers(engine, case)
            black = replace(case.image, pixels=np.zeros_like(case.image.pixels))
            blanked = _answers(engine, replace(case, image=black))
            same += [float(one == two) for one, two in zip(seen, blanked, strict=True)]
            images += [case.name] * len(seen)
            progress.step(len(seen))
    return BlankedAnswers(
        num_same=int(sum(same)),
        num_questions=len(same),
        interval=bootstrap_interval(same, images),
    )


def _answers(engine: Engine, case: Case) -> list[tuple[str, ...]]:
    encoded = engine.encode(prepare(case.image, engine.preprocessing))
    questions = [question.text for question in case.questions]
    answers = engine.answer_all(encoded, questions, max_new_tokens=MAX_NEW_TOKENS)
    return [normalized_words(answer.text) for answer in answers]
