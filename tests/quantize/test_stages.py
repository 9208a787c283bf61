"""The figures of a stage, against numbers worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import Make

from tinymed.quantize.observe import Observed
from tinymed.quantize.stages import StageDifference, stage_differences


def _tokens(made: Observed, *tensors: list[float]) -> Observed:
    """As many cases as tensors, with these image tokens."""
    return replace(
        made,
        cases=tuple(
            replace(case, image_tokens=np.array([values], np.float32))
            for case, values in zip(made.cases, tensors, strict=False)
        ),
    )


def _compared(make: Make, theirs: list[list[float]], ours: list[list[float]]) -> StageDifference:
    return stage_differences(_tokens(make(), *theirs), _tokens(make(), *ours))[1]


def test_the_figures_are_what_they_say(make: Make) -> None:
    found = _compared(
        make,
        [[3.0, 4.0], [0.0, 10.0], [0.0, -2.0]],
        [[3.0, 4.0], [0.0, 9.0], [2.0, 0.0]],
    )
    assert found.num_tensors == 3
    # The first is the same; the second is off by 1 of 10; the third stands at a right angle.
    assert found.max_difference == pytest.approx(2 / 2)
    assert found.relative_error == pytest.approx(0.1)
    assert found.worst_relative_error == pytest.approx(np.sqrt(2))
    assert found.cosine == pytest.approx(1.0)
    assert found.worst_cosine == pytest.approx(0.0)


def test_logits_are_the_same_when_all_are_shifted(make: Make) -> None:
    made = make()
    shifted = replace(
        made,
        cases=tuple(
            replace(
                case,
                answers=tuple(
                    replace(one, first_token_logits=one.first_token_logits + 7)
                    for one in case.answers
                ),
            )
            for case in made.cases
        ),
    )
    logits = stage_differences(made, shifted)[2]
    assert logits.num_tensors == 120
    assert logits.relative_error == pytest.approx(0, abs=1e-6)
    assert logits.worst_cosine == pytest.approx(1)


def test_a_connector_that_gives_nothing_is_wholly_off(make: Make) -> None:
    found = _compared(make, [[3.0, 4.0]], [[0.0, 0.0]])
    assert (found.relative_error, found.cosine) == (1.0, 0.0)
    both = _compared(make, [[0.0, 0.0]], [[0.0, 0.0]])
    assert (both.relative_error, both.cosine, both.max_difference) == (0.0, 1.0, 0.0)
    # Of a reference that is constant there is no range and no direction: anything else is off.
    from_nothing = _compared(make, [[0.0, 0.0]], [[1.0, 0.0]])
    assert (from_nothing.relative_error, from_nothing.max_difference) == (1.0, 1.0)
