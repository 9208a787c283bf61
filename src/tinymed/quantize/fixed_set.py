"""What a build and its reference are both asked: a fixed set that needs no file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinymed.images.medical_image import MedicalImage
from tinymed.quantize.phantoms import phantoms


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question; `is_closed` where it asks for a choice."""

    text: str
    is_closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One picture and what is asked about it."""

    name: str
    image: MedicalImage
    questions: tuple[Question, ...]


_CLOSED = (
    (
        "Is this a chest X-ray?",
        "Is there an abnormality in the image?",
        "Is the heart enlarged?",
        "Is there a fracture?",
        "Is this image normal or abnormal?",
        "Does the picture contain the liver?",
        "Is this an MRI or a CT scan?",
        "Is there evidence of a mass?",
        "Is the lesion on the left or the right side?",
    ),
    (
        "Is this a CT scan?",
        "Does the picture contain the lung?",
        "Are the findings symmetric?",
        "Is there a pleural effusion?",
        "Is the image in color?",
        "Is the brain shown?",
        "Is there any bleeding?",
        "Is the abnormality bright or dark?",
        "Does the image show an axial or a coronal plane?",
    ),
)
_OPEN = (
    "Which organ is shown?",
    "What imaging modality was used?",
    "Where is the abnormality?",
    "What is the main finding?",
)


def fixed_cases() -> list[Case]:
    """24 pictures with nine closed questions and an open one each: 240 questions.

    There are no right answers: the set shows whether a build answers as its reference does,
    and nothing about how good either is.
    """
    return [
        Case(
            name=name,
            image=image,
            questions=(
                *(Question(text=text, is_closed=True) for text in _CLOSED[place % 2]),
                Question(text=_OPEN[place % 4], is_closed=False),
            ),
        )
        for place, (name, image) in enumerate(phantoms())
    ]


def cases_digest(cases: Sequence[Case]) -> str:
    """sha256 over every pixel and every question."""
    digest = hashlib.sha256()
    for case in cases:
        questions = [[one.text, one.is_closed] for one in case.questions]
        row: list[Any] = [case.name, case.image.pixels.shape, questions]
        digest.update(json.dumps(row).encode() + case.image.pixels.tobytes())
    return digest.hexdigest()
