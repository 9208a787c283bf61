"""The fixed set: the same to the bit, everywhere."""

from __future__ import annotations

import numpy as np

from tinymed.evaluate.metrics.verdict import options
from tinymed.quantize.fixed_set import Case, cases_digest, fixed_cases

DIGEST = "195cef8730b7e4242e9dc78d1bb89abeb0f492cd9b923205db967a72bcfa00fa"
"""Changes only when the set does: reports before and after do not compare then."""


def test_the_set_is_the_same_to_the_bit() -> None:
    assert cases_digest(fixed_cases()) == DIGEST


def test_the_digest_sees_every_pixel_and_every_question() -> None:
    for change in ("pixel", "question", "name"):
        first, *others = fixed_cases()
        if change == "pixel":
            first.image.pixels[5, 7, 1] ^= 1
        name = first.name + ("!" if change == "name" else "")
        questions = first.questions[:-1] if change == "question" else first.questions
        changed = Case(name=name, image=first.image, questions=questions)
        assert cases_digest([changed, *others]) != DIGEST


def test_it_has_240_questions_about_24_pictures_that_differ() -> None:
    cases = fixed_cases()
    questions = [question for case in cases for question in case.questions]
    assert (len(cases), len(questions)) == (24, 240)
    assert sum(question.is_closed for question in questions) == 216
    assert len({case.image.pixels.tobytes() for case in cases}) == 24
    assert len({case.image.pixels.shape for case in cases}) == 8
    assert len({case.name for case in cases}) == 24


def test_closed_questions_ask_for_yes_or_no_or_offer_two_choices() -> None:
    closed = {one.text for case in fixed_cases() for one in case.questions if one.is_closed}
    with_choices = {text for text in closed if " or " in text}
    assert len(closed) == 18
    assert all(len(options(text)) == 2 for text in with_choices)
    first_words = {text.split()[0] for text in closed - with_choices}
    assert first_words <= {"Is", "Are", "Does"}


def test_pictures_use_most_grey_levels_and_some_have_colour() -> None:
    images = [case.image.pixels for case in fixed_cases()]
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in images)
    assert all(np.ptp(image) > 100 for image in images)
    colored = [bool((image[..., 0] != image[..., 2]).any()) for image in images]
    assert sum(colored) == 6
