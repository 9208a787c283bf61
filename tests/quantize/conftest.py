"""Fixtures: what an engine made of half the fixed set, written down without an engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymed.images.prepare import Preprocessing
from tinymed.quantize import image_matters, observe
from tinymed.quantize.fixed_set import Case, fixed_cases
from tinymed.quantize.observe import Asked, Observed, SeenCase

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "engines")]

from made_up import NO, VOCABULARY, YES, Make  # noqa: E402


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """12 pictures with 108 closed questions and 12 open ones."""
    return fixed_cases()[:12]


@pytest.fixture(scope="session", autouse=True)
def _short_answers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (observe, image_matters):
            patch.setattr(module, "MAX_NEW_TOKENS", 3)
        yield


@pytest.fixture
def make(cases: list[Case]) -> Make:
    """Makes the same observation each time, but for what is asked to be off.

    `noise` is the relative error of each stage; `flipped` the number of closed questions that
    are answered otherwise, clearly; further arguments replace fields.
    """

    def observed(
        *, noise: dict[str, float] | None = None, flipped: int = 0, **fields: Any
    ) -> Observed:
        rng, off = np.random.default_rng(0), np.random.default_rng(1)

        def drawn(stage: str, *shape: int, first: int | None = None) -> np.ndarray:
            values = rng.normal(size=shape).astype(np.float32)
            if first is not None:
                values[first] += 20
            error = off.normal(size=shape).astype(np.float32)
            error *= np.linalg.norm(values) / np.linalg.norm(error)
            return values + (noise or {}).get(stage, 0) * error

        seen, left = [], flipped
        for case in cases:
            answers = []
            for question in case.questions:
                is_flipped = question.is_closed and left > 0
                left -= is_flipped
                first = NO if is_flipped else YES
                logits = drawn("first_token_logits", VOCABULARY, first=first)
                answers.append(Asked(text="no" if is_flipped else "yes", first_token_logits=logits))
            seen.append(
                SeenCase(
                    num_image_tokens=4,
                    vision_features=drawn("vision_features", 16, 8),
                    image_tokens=drawn("image_tokens", 4, 32),
                    answers=tuple(answers),
                )
            )
        made = Observed(
            engine="openvino",
            scheme="openvino-int8",
            weights_digest="0" * 64,
            num_threads=1,
            prompt_template="<user>{image}\n{question}<assistant>{answer}",
            preprocessing=Preprocessing(size_px=16),
            cases=tuple(seen),
        )
        return replace(made, **fields)

    return observed
