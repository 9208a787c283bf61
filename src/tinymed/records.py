"""What passes between the stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

AnswerType = Literal["open", "closed"]

NOTICE = (
    "Research and education only. Not a diagnosis: a clinician must read this image. "
    "Answers can be wrong."
)
"""Stands on every surface that shows an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One question about one image, with the answer the data set gives."""

    id: str
    """Unique in its data set and split."""
    question: str
    reference: str
    """The data set's answer, as written there (surrounding blanks removed)."""
    answer_type: AnswerType
    image: Path | None = None
    """Absolute path of the image file; None for a text-only question."""
    group: str = ""
    """Cluster for intervals: the image or, where known, the patient."""
    modality: str | None = None
    body_part: str | None = None
    question_type: str | None = None
    context: str | None = None
    """What a judge may read and the model never sees, such as a figure's caption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model answered to the sample of the same id."""

    id: str
    text: str
    confidence: float | None = None
    """The model's own probability of exactly this answer, in [0, 1]; not calibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric over one subset."""

    metric: str
    subset: str
    """"all", "open", "closed" or "modality=CT" and the like."""
    value: float
    """Fraction in [0, 1]."""
    interval: tuple[float, float]
    """95 %, by bootstrap over groups."""
    num_samples: int
    num_unparsed: int
    """Answers that could not be judged; counted as wrong, never dropped."""
