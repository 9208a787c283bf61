"""The parity gate: whether a build answers as the model it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinymed.quantize.fixed_set import Case
from tinymed.quantize.observe import Asked, Observed
from tinymed.quantize.rules import MIN_CLOSED_QUESTIONS, Rules, rules_for
from tinymed.quantize.same_answers import Agreement, AnswerPair, agreement
from tinymed.quantize.stages import StageDifference, stage_differences

_LOOK_AT = {
    "vision_features": "the vision encoder's weights or the preprocessing",
    "image_tokens": "the connector",
    "first_token_logits": "the language model, its adapter or the prompt",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """One question that the two answer otherwise."""

    image: str
    question: str
    is_closed: bool
    reference: str
    build: str
    margin: float | None
    """By how much the reference prefers its own first token to the build's, as a share of the
    range of its logits; None where both begin with the same token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A build beside its reference, both with one number of threads, and what speaks against it."""

    reference: Observed
    build: Observed
    rules: Rules
    stages: tuple[StageDifference, ...]
    closed: Agreement
    open: Agreement
    differing: tuple[Differing, ...]
    """All of them; a report shows the first few."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the build fails, each as a clause; empty if it passes."""
        return tuple(reason for rule in _RULES for reason in rule(self))


def compare(
    reference: Observed,
    build: Observed,
    cases: Sequence[Case],
    *,
    precisions: Mapping[str, str],
) -> Comparison:
    """Compare what two engines made of the same cases.

    Args:
        reference: The model that the build was made from.
        build: The build.
        cases: What both were asked.
        precisions: The build's, of each of `schemes.PARTS`: what it is judged by.
    """
    asked = [
        (_pair(case.name, question.text, is_closed=question.is_closed, theirs=theirs, ours=ours),
         theirs, ours)
        for case, their_case, our_case in zip(cases, reference.cases, build.cases, strict=True)
        for question, theirs, ours in zip(
            case.questions, their_case.answers, our_case.answers, strict=True
        )
    ]  # fmt: skip
    pairs = [pair for pair, _, _ in asked]
    return Comparison(
        reference=reference,
        build=build,
        rules=rules_for(precisions),
        stages=stage_differences(reference, build),
        closed=agreement(pairs, closed=True),
        open=agreement(pairs, closed=False),
        differing=tuple(
            _differing(pair, theirs, ours) for pair, theirs, ours in asked if not pair.is_same
        ),
    )


def _pair(image: str, question: str, *, is_closed: bool, theirs: Asked, ours: Asked) -> AnswerPair:
    return AnswerPair(
        image=image,
        question=question,
        is_closed=is_closed,
        reference=theirs.text,
        build=ours.text,
    )


def _differing(pair: AnswerPair, theirs: Asked, ours: Asked) -> Differing:
    logits = theirs.first_token_logits
    our_first = int(np.argmax(ours.first_token_logits))
    gap = float(logits.max() - logits[our_first]) / max(float(np.ptp(logits)), 1e-30)
    return Differing(
        image=pair.image,
        question=pair.question,
        is_closed=pair.is_closed,
        reference=pair.reference,
        build=pair.build,
        margin=gap if our_first != int(np.argmax(logits)) else None,
    )


def _same_preparation(found: Comparison) -> Iterator[str]:
    ours, theirs = found.build, found.reference
    if ours.prompt_template != theirs.prompt_template:
        yield (
            f"it puts the prompt otherwise: {ours.prompt_template!r}, the reference "
            f"{theirs.prompt_template!r}"
        )
    for name in ("size_px", "mean", "std", "fit", "fill", "resampling"):
        here, there = getattr(ours.preprocessing, name), getattr(theirs.preprocessing, name)
        if here != there:
            yield f"it prepares images otherwise: {name} is {here}, the reference's {there}"
    tokens = {
        (one.num_image_tokens, two.num_image_tokens)
        for one, two in zip(ours.cases, theirs.cases, strict=True)
    }
    for here, there in sorted(tokens):
        if here != there:
            yield f"an image becomes {here} tokens, the reference's {there}"


def _stages_near(found: Comparison) -> Iterator[str]:
    for stage in found.stages:
        words = stage.stage.replace("_", " ").replace("first token", "first-token")
        bound = found.rules.max_error[stage.stage]
        if stage.problem and stage.stage == "vision_features" and "not told" in stage.problem:
            continue  # what they became, the image tokens, tells enough
        if stage.problem:
            yield f"its {words} cannot be compared: {stage.problem}"
        elif stage.relative_error is None or not stage.relative_error <= bound:
            yield (
                f"its {words} are off by {stage.relative_error:.3g} of their length, more than "
                f"{bound:g}: look at {_LOOK_AT[stage.stage]}"
            )


def _logits_near(found: Comparison) -> Iterator[str]:
    bound = found.rules.max_logit_difference
    (logits,) = (one for one in found.stages if one.stage == "first_token_logits")
    if bound is None or logits.problem:
        return
    if logits.max_difference is None or not logits.max_difference <= bound:
        yield (
            f"its first-token logits differ by up to {logits.max_difference:.2e} of their range, "
            f"more than {bound:g}"
        )


def _enough_questions(found: Comparison) -> Iterator[str]:
    if found.closed.num_questions < MIN_CLOSED_QUESTIONS:
        yield (
            f"{found.closed.num_questions} closed questions are too few to tell: at least "
            f"{MIN_CLOSED_QUESTIONS} are needed"
        )


def _closed_answers_same(found: Comparison) -> Iterator[str]:
    share, bound = found.closed.share, found.rules.min_same_closed
    if share is not None and share < bound:
        yield (
            f"it answers {found.closed.num_same} of {found.closed.num_questions} closed questions "
            f"({share:.1%}) as the reference does, fewer than {bound:.0%}"
        )


def _all_answers_same(found: Comparison) -> Iterator[str]:
    bound = found.rules.max_logit_difference
    if not found.rules.all_answers_same or bound is None:
        return
    # Both logits may be off by the bound, in opposite directions.
    others = [one for one in found.differing if one.margin is None or one.margin > 2 * bound]
    if others:
        yield (
            f"{len(others)} answers differ and are no ties (first: {others[0].question!r}: "
            f"{others[0].build!r}, the reference {others[0].reference!r})"
        )


_RULES = (
    _same_preparation,
    _stages_near,
    _logits_near,
    _enough_questions,
    _closed_answers_same,
    _all_answers_same,
)
