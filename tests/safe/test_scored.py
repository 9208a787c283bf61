"""Choices weighed against each other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from scoring_engine import ScoringEngine

from tinymed.engines.decoding import ScoredChoice
from tinymed.engines.protocol import EncodedImage
from tinymed.safe.scored import Scored, score_choices

IMAGE = EncodedImage(state="0", num_image_tokens=1, encode_ms=0.0, prefill_ms=0.0)


def scored(likely: Mapping[str, float], *choices: str) -> Scored:
    return score_choices(ScoringEngine(lambda seen, question: likely), IMAGE, "?", choices)


def test_all_spellings_of_a_choice_count_together() -> None:
    found = scored({"Yes": 0.3, "yes": 0.3, "No": 0.4}, "yes", "no")
    assert found.best == "yes"
    assert found.confidence == pytest.approx(0.6)
    assert found.probabilities["no"] == pytest.approx(0.4)


def test_a_confidence_is_against_the_other_choices_alone() -> None:
    found = scored({"T1": 0.02, "T2": 0.06, "FLAIR": 0.9}, "t1", "t2")
    assert (found.best, found.confidence) == ("t2", pytest.approx(0.75))


def test_tokens_are_those_of_the_likeliest_spelling() -> None:
    found = scored({"Small Bowel": 0.6, "small bowel": 0.2, "Colon": 0.2}, "colon", "small bowel")
    assert [token.text for token in found.tokens["small bowel"]] == ["Small Bowel", ""]


def test_choices_of_no_likelihood_at_all_are_still_weighed() -> None:
    """Their logarithms are far below what a float can be raised to."""
    engine = ScoringEngine(lambda seen, question: {})
    least = dict.fromkeys(["one", "two"], -2000.0)
    engine.score = lambda image, question, choices: [  # type: ignore[method-assign]
        ScoredChoice(text=one, log_probability=least[one.lower()], tokens=()) for one in choices
    ]
    found = score_choices(engine, IMAGE, "?", ("one", "two"))
    assert found.probabilities == {"one": 0.5, "two": 0.5}


def test_one_reading_of_the_question_scores_every_spelling() -> None:
    engine = ScoringEngine(lambda seen, question: {"Yes": 1.0})
    score_choices(engine, IMAGE, "?", ("yes", "no"))
    assert engine.asked == [("score", "0", "?")]
