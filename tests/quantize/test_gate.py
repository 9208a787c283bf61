"""Each rule of the gate, failing alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import NO, YES, Make

from tinymed.images.prepare import Preprocessing
from tinymed.models.schemes import PARTS, SCHEMES
from tinymed.quantize.fixed_set import Case
from tinymed.quantize.gate import Comparison, compare
from tinymed.quantize.observe import Asked, Observed
from tinymed.quantize.rules import BY_PRECISION, FULL

F32, INT8, INT4 = (dict.fromkeys(PARTS, precision) for precision in ("f32", "int8", "int4"))
LANGUAGE_INT4 = F32 | {"language_model": "int4"}


@pytest.mark.parametrize("precision", sorted(BY_PRECISION))
def test_a_build_that_does_all_the_same_passes(
    make: Make, cases: list[Case], precision: str
) -> None:
    found = compare(make(), make(), cases, precisions=dict.fromkeys(PARTS, precision))
    assert found.reasons == ()
    assert (found.closed.num_same, found.closed.num_questions) == (108, 108)
    assert [stage.max_difference for stage in found.stages] == [0.0, 0.0, 0.0]


def test_there_are_rules_for_every_part_of_every_scheme() -> None:
    named = {scheme.precision(part) for scheme in SCHEMES.values() for part in PARTS}
    assert named <= set(BY_PRECISION)


@pytest.mark.parametrize(
    ("precisions", "flipped", "passes"),
    [(INT8, 1, True), (INT8, 2, False), (INT4, 3, True), (INT4, 4, False)],
)
def test_closed_answers_must_be_the_same(
    make: Make, cases: list[Case], precisions: dict[str, str], flipped: int, *, passes: bool
) -> None:
    # Words flip, logits stay: what is tested is the count alone.
    build = _with_logits_of(make(flipped=flipped), make())
    found = compare(make(), build, cases, precisions=precisions)
    assert (found.reasons == ()) is passes
    if not passes:
        (reason,) = found.reasons
        assert reason == (
            f"it answers {108 - flipped} of 108 closed questions ({1 - flipped / 108:.1%}) as the "
            f"reference does, fewer than {found.rules.min_same_closed:.0%}"
        )


def _with_logits_of(observed: Observed, other: Observed) -> Observed:
    return replace(
        observed,
        cases=tuple(
            replace(
                ours,
                answers=tuple(
                    replace(one, first_token_logits=two.first_token_logits)
                    for one, two in zip(ours.answers, theirs.answers, strict=True)
                ),
            )
            for ours, theirs in zip(observed.cases, other.cases, strict=True)
        ),
    )


@pytest.mark.parametrize(
    ("stage", "looks_at"),
    [
        ("vision_features", "vision encoder"),
        ("image_tokens", "connector"),
        ("first_token_logits", "language model, its adapter or the prompt"),
    ],
)
@pytest.mark.parametrize("precisions", [F32, INT8, INT4])
def test_a_stage_that_is_far_off_fails_though_the_answers_are_the_same(
    make: Make, cases: list[Case], stage: str, looks_at: str, precisions: dict[str, str]
) -> None:
    found = compare(make(), make(noise={stage: 0.9}), cases, precisions=precisions)
    assert found.closed.num_same == 108
    assert any(f"look at the {looks_at}" in reason for reason in found.reasons), found.reasons
    others = [one for one in found.stages if one.stage != stage]
    assert [one.relative_error for one in others] == [0.0, 0.0]


def test_full_precision_keeps_every_logit_within_a_thousandth(
    make: Make, cases: list[Case]
) -> None:
    build = make(noise={"first_token_logits": 3e-3})
    found = compare(make(), build, cases, precisions=F32)
    logits = found.stages[2]
    assert logits.max_difference is not None
    assert logits.max_difference > 1e-3
    assert logits.relative_error is not None
    assert logits.relative_error < FULL.max_error["first_token_logits"]
    assert [reason.partition(" by up")[0] for reason in found.reasons] == [
        "its first-token logits differ"
    ]
    assert compare(make(), build, cases, precisions=INT8).reasons == ()


def test_four_bits_in_the_language_model_excuse_nothing_before_it(
    make: Make, cases: list[Case]
) -> None:
    build = make(noise={"image_tokens": 0.02})
    assert compare(make(), build, cases, precisions=INT8).reasons == ()
    found = compare(make(), build, cases, precisions=LANGUAGE_INT4)
    assert found.rules.name == "4 bits"
    assert [reason.partition(" are ")[0] for reason in found.reasons] == ["its image tokens"]


def _first_answer(observed: Observed, answer: Asked) -> Observed:
    first, *others = observed.cases
    changed = replace(first, answers=(answer, *first.answers[1:]))
    return replace(observed, cases=(changed, *others))


def _full(make: Make, cases: list[Case], *, gap: float, text: str, logits: str) -> Comparison:
    """In full precision, a first answer that differs; the reference prefers its own by `gap`."""
    reference = make()
    values = reference.cases[0].answers[0].first_token_logits.copy()
    values[YES], values[NO] = 20, 20 - gap
    ours = values.copy()
    if logits == "other":
        ours[YES], ours[NO] = 20 - gap, 20
    theirs = _first_answer(reference, Asked(text="yes", first_token_logits=values))
    build = _first_answer(make(), Asked(text=text, first_token_logits=ours))
    return compare(theirs, build, cases, precisions=F32)


def test_in_full_precision_a_tie_may_fall_the_other_way(make: Make, cases: list[Case]) -> None:
    found = _full(make, cases, gap=0.01, text="no", logits="other")
    assert found.closed.num_same == 107
    assert found.reasons == ()
    (differing,) = found.differing
    assert differing.margin == pytest.approx(0.01 / 22, rel=0.1)


def test_in_full_precision_no_other_answer_may_differ(make: Make, cases: list[Case]) -> None:
    clear = _full(make, cases, gap=0.2, text="no", logits="other")
    assert any("1 answers differ and are no ties" in reason for reason in clear.reasons)
    # Both begin alike, so the first token's logits show no tie.
    later = _full(make, cases, gap=0.2, text="no, sir", logits="same")
    assert later.differing[0].margin is None
    assert [reason[:30] for reason in later.reasons] == ["1 answers differ and are no ti"]


def test_another_prompt_fails(make: Make, cases: list[Case]) -> None:
    build = make(prompt_template="{image}{question}{answer}")
    (reason,) = compare(make(), build, cases, precisions=INT8).reasons
    assert reason.startswith("it puts the prompt otherwise: '{image}{question}{answer}', the ref")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size_px", 32),
        ("mean", (0.5, 0.5, 0.5)),
        ("std", (0.5, 0.5, 0.5)),
        ("fit", "crop"),
        ("fill", (127, 127, 127)),
        ("resampling", "bilinear"),
    ],
)
def test_another_preparation_fails(
    make: Make, cases: list[Case], field: str, value: object
) -> None:
    other = replace(Preprocessing(size_px=16), **{field: value})
    (reason,) = compare(make(), make(preprocessing=other), cases, precisions=INT8).reasons
    assert reason.startswith(f"it prepares images otherwise: {field} is {value}, the reference's")


def test_another_number_of_image_tokens_fails(make: Make, cases: list[Case]) -> None:
    made = make()
    build = replace(made, cases=tuple(replace(one, num_image_tokens=9) for one in made.cases))
    assert compare(make(), build, cases, precisions=INT8).reasons == (
        "an image becomes 9 tokens, the reference's 4",
    )


def _with_tokens(observed: Observed, tokens: object) -> Observed:
    first, *others = observed.cases
    return replace(observed, cases=(replace(first, image_tokens=tokens), *others))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_fails(make: Make, cases: list[Case], value: float) -> None:
    build = _with_tokens(make(), np.full((4, 32), value, np.float32))
    (reason,) = compare(make(), build, cases, precisions=INT4).reasons
    assert reason == "its image tokens cannot be compared: not finite numbers in the build"


def test_tensors_of_another_shape_fail(make: Make, cases: list[Case]) -> None:
    build = _with_tokens(make(), np.zeros((4, 16), np.float32))
    (reason,) = compare(make(), build, cases, precisions=INT4).reasons
    assert reason == (
        "its image tokens cannot be compared: of shape (4, 16) in the build and (4, 32) in the "
        "reference"
    )


def test_features_that_an_engine_does_not_tell_are_no_match(make: Make, cases: list[Case]) -> None:
    made = make()
    silent = replace(made, cases=tuple(replace(one, vision_features=None) for one in made.cases))
    found = compare(make(), silent, cases, precisions=INT8)
    assert found.reasons == ()
    assert found.stages[0].problem == "not told by openvino-int8"
    assert found.stages[0].relative_error is None


def test_too_few_closed_questions_pass_nothing(make: Make, cases: list[Case]) -> None:
    made = make()
    few = replace(made, cases=made.cases[:2])
    assert compare(few, few, cases[:2], precisions=INT4).reasons == (
        "18 closed questions are too few to tell: at least 100 are needed",
    )
