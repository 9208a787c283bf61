"""When two answers count as the same, and how many are."""

from __future__ import annotations

import pytest

from tinymed.quantize.same_answers import AnswerPair, agreement


def _pair(
    reference: str, build: str, *, question: str = "Is there a mass?", is_closed: bool = True
) -> AnswerPair:
    return AnswerPair(
        image=question, question=question, is_closed=is_closed, reference=reference, build=build
    )


SIDE = "Is it on the left or the right side?"


@pytest.mark.parametrize(
    ("reference", "build", "question", "is_same"),
    [
        ("Yes", "yes.", "Is there a mass?", True),
        ("yes, in the left lung", "Yes", "Is there a mass?", True),
        ("yes", "no", "Is there a mass?", False),
        ("yes", "maybe", "Is there a mass?", False),
        ("There is no mass.", "No", "Is there a mass?", True),
        ("left", "On the left side", SIDE, True),
        ("left", "right", SIDE, False),
        ("left", "yes", SIDE, False),
        ("a mass", "A mass.", "Is there a mass?", True),
        ("a mass", "two masses", "Is there a mass?", False),
        ("", "", "Is there a mass?", True),
        ("", "no", "Is there a mass?", False),
    ],
)
def test_closed_answers_are_the_same_when_they_decide_alike(
    reference: str, build: str, question: str, *, is_same: bool
) -> None:
    assert _pair(reference, build, question=question).is_same is is_same


def test_open_answers_are_the_same_word_by_word() -> None:
    assert _pair("The left lung.", "left lung", is_closed=False).is_same
    assert not _pair("yes, left", "yes, right", is_closed=False).is_same


def test_agreement_counts_each_kind_alone_and_says_how_sure_it_is() -> None:
    pairs = [_pair("yes", "yes", question=f"Is there a mass {place}?") for place in range(9)]
    pairs += [_pair("a mass", "no"), _pair("lung", "liver", is_closed=False)]
    closed, open_ = agreement(pairs, closed=True), agreement(pairs, closed=False)
    assert (closed.num_same, closed.num_questions, closed.share) == (9, 10, 0.9)
    assert closed.interval is not None
    assert closed.interval[0] < 0.9 < closed.interval[1]
    assert (closed.num_undecided, closed.commonest) == (1, 0.9)
    assert (open_.num_same, open_.num_questions, open_.num_undecided) == (0, 1, 0)


def test_of_no_questions_nothing_is_said() -> None:
    none = agreement([], closed=True)
    assert (none.share, none.interval, none.commonest) == (None, None, None)
