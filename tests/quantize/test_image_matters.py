"""Whether a model's answers change when the image is black."""

from __future__ import annotations

from typing import Any

import pytest

from tinymed.engines.protocol import Answer, EncodedImage
from tinymed.images.prepare import Preprocessing
from tinymed.quantize.fixed_set import Case
from tinymed.quantize.image_matters import image_matters


class Looking:
    """Says yes where the picture is bright enough for it."""

    def __init__(self, *, sees_from: float) -> None:
        self.preprocessing = Preprocessing(size_px=8)
        self._sees_from = sees_from

    def encode(self, pixels: Any, *, keep_stages: bool = False) -> EncodedImage:
        return EncodedImage(
            state=float(pixels.mean()), num_image_tokens=1, encode_ms=0, prefill_ms=0
        )

    def answer_all(
        self, image: EncodedImage, questions: list[str], *, max_new_tokens: int
    ) -> list[Answer]:
        text = "Yes." if image.state > self._sees_from else "no"
        return [
            Answer(text=text, confidence=1, num_tokens=1, prefill_ms=0, decode_ms=0)
            for _ in questions
        ]


@pytest.mark.parametrize(
    ("sees_from", "num_same", "matters"), [(-9.0, 120, False), (9.0, 120, False), (-1.95, 0, True)]
)
def test_answers_are_counted_that_stay_when_the_image_is_black(
    cases: list[Case], sees_from: float, num_same: int, *, matters: bool
) -> None:
    found = image_matters(Looking(sees_from=sees_from), cases)
    assert (found.num_same, found.num_questions) == (num_same, 120)
    assert found.image_matters is matters
    assert found.interval[0] <= found.num_same / 120 <= found.interval[1]


def test_some_answers_may_stay(cases: list[Case]) -> None:
    found = image_matters(Looking(sees_from=-1.0), cases)
    assert 0 < found.num_same < 120
    assert found.num_same % 10 == 0
