"""What one engine makes of every case: tensors of its stages, first-token logits, answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymed.engines.protocol import Engine
from tinymed.images.prepare import Preprocessing, prepare
from tinymed.progress import Progress
from tinymed.quantize.fixed_set import Case

Floats = npt.NDArray[np.float32]

MAX_NEW_TOKENS = 24
"""Enough for any closed answer; a model that runs on is cut there in both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One answer."""

    text: str
    first_token_logits: Floats
    """Shape (vocabulary,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCase:
    """What became of one case."""

    num_image_tokens: int
    vision_features: Floats | None
    """Shape (patches, features); None where the engine does not tell them."""
    image_tokens: Floats
    """Shape (image tokens, hidden)."""
    answers: tuple[Asked, ...]
    """In the order of the case's questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An engine, and what became of every case in it."""

    engine: str
    scheme: str
    weights_digest: str
    num_threads: int
    prompt_template: str
    preprocessing: Preprocessing
    cases: tuple[SeenCase, ...]


def observe(engine: Engine, cases: Sequence[Case], *, label: str) -> Observed:
    """Ask an engine every case, each image prepared as this engine wants it.

    One engine at a time, so that a reference and its build need never share the memory.

    Args:
        engine: What is asked; it must tell its stages and logits.
        cases: What it is asked.
        label: What the progress line calls it.
    """
    seen = []
    with Progress(label, total=sum(len(case.questions) for case in cases)) as progress:
        for case in cases:
            seen.append(_see(engine, case))
            progress.step(len(case.questions))
    return Observed(
        engine=engine.name,
        scheme=engine.scheme,
        weights_digest=engine.weights_digest,
        num_threads=engine.num_threads,
        prompt_template=engine.prompt_template,
        preprocessing=engine.preprocessing,
        cases=tuple(seen),
    )


def _see(engine: Engine, case: Case) -> SeenCase:
    encoded = engine.encode(prepare(case.image, engine.preprocessing), keep_stages=True)
    stages = encoded.stages
    if stages is None:
        raise TypeError(f"the engine '{engine.name}' keeps no stages though asked to")
    answers = []
    for question in case.questions:
        answer = engine.answer(
            encoded, question.text, max_new_tokens=MAX_NEW_TOKENS, keep_logits=True
        )
        if answer.first_token_logits is None:
            raise TypeError(f"the engine '{engine.name}' keeps no logits though asked to")
        answers.append(Asked(text=answer.text, first_token_logits=answer.first_token_logits))
    return SeenCase(
        num_image_tokens=encoded.num_image_tokens,
        vision_features=stages.vision_features,
        image_tokens=stages.image_tokens,
        answers=tuple(answers),
    )
