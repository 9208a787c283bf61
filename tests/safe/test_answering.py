"""Questions between their gates: what is asked of the model, and what is not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from policies import POLICY
from scoring_engine import (
    ABSENCE,
    OPEN,
    PRESENCE,
    SIDE,
    ScoringEngine,
    truthful,
    yes,
    yes_sayer,
)

from tinymed.engines.decoding import ChosenToken, Decoding, ScoredChoice
from tinymed.engines.protocol import Answer, EncodedImage
from tinymed.safe.answering import OpenQuestion, SafeAnswering, SeenImage
from tinymed.safe.gate import Alert, Gates
from tinymed.safe.safe_answer import SafeAnswer

EVERY = Gates(
    quality="withhold",
    film_photo="withhold",
    text="withhold",
    scope="withhold",
    polarity="withhold",
    blank="withhold",
    threshold="withhold",
)
NONE = Gates(
    quality="off",
    film_photo="off",
    text="off",
    scope="off",
    polarity="off",
    blank="off",
    threshold="off",
)
DECODING = Decoding(max_new_tokens=8)
LEFT = Answer(text="left", confidence=0.95, num_tokens=1, prefill_ms=0.0, decode_ms=0.0)
HALF = ChosenToken(text="left", token_bytes=b"left", log_probability=math.log(0.5))
TENTH = ChosenToken(text="", token_bytes=b"", log_probability=math.log(0.1))
"""An end that the model does not expect behind it."""


def seen(state: str, *alerts: Alert) -> SeenImage:
    encoded = EncodedImage(state=state, num_image_tokens=1, encode_ms=0.0, prefill_ms=0.0)
    return SeenImage(encoded=encoded, alerts=alerts)


def answered(answering: SafeAnswering, image: SeenImage, question: str) -> SafeAnswer:
    found = answering.begin(image, question, DECODING)
    assert isinstance(found, SafeAnswer)
    return found


def finished(
    engine: ScoringEngine, answering: SafeAnswering, image: SeenImage, question: str = OPEN
) -> SafeAnswer:
    found = answering.begin(image, question, DECODING)
    assert isinstance(found, OpenQuestion)
    return answering.finish(found, engine.answer(image.encoded, question))


def test_a_truthful_sure_model_passes_every_gate() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    present = answered(answering, seen("20"), PRESENCE)
    assert (present.text, present.finding, present.alerts) == ("yes", "present", ())
    assert answered(answering, seen("21"), PRESENCE).finding == "absent"
    side = answered(answering, seen("21"), SIDE)
    assert (side.kind, side.text, side.finding) == ("choice", "right", None)
    assert finished(engine, answering, seen("20")).text == "left lung"


def test_closed_questions_are_scored_and_never_decoded() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    for question in (PRESENCE, SIDE, OPEN):
        answering.begin(seen("20"), question, replace(DECODING, temperature=1.0))
    assert {how for how, _, _ in engine.asked} == {"score"}
    assert [(image, question) for _, image, question in engine.asked] == [
        ("20", PRESENCE),
        ("20", ABSENCE),
        ("black", PRESENCE),
        ("20", SIDE),
        ("black", SIDE),
    ]


def test_a_gate_that_is_off_asks_the_model_nothing() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=NONE, policy=POLICY)
    answered(answering, seen("20"), PRESENCE)
    finished(engine, answering, seen("20"))
    assert engine.num_encoded == 0
    assert engine.asked == [("score", "20", PRESENCE), ("answer", "20", OPEN)]


def test_a_black_image_is_read_once_and_asked_each_question_once() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    for state in ("20", "21", "20"):
        answered(answering, seen(state), PRESENCE)
    assert engine.num_encoded == 1
    assert engine.asked.count(("score", "black", PRESENCE)) == 1


def test_the_scores_about_the_black_image_do_not_grow_without_end() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    answered(answering, seen("20"), PRESENCE)
    for number in range(300):
        answered(
            answering, seen("20"), f"Is there a mass of type {chr(97 + number % 26) * 9}{number}?"
        )
    engine.asked.clear()
    answered(answering, seen("20"), PRESENCE)
    assert ("score", "black", PRESENCE) in engine.asked


def test_who_says_yes_to_both_is_withheld_or_told_of() -> None:
    engine = ScoringEngine(yes_sayer)
    withheld = answered(SafeAnswering(engine, gates=EVERY, policy=POLICY), seen("1"), PRESENCE)
    assert (withheld.text, withheld.finding, withheld.model_text) == (
        "cannot tell",
        "cannot-tell",
        "yes",
    )
    warns = SafeAnswering(engine, gates=replace(EVERY, polarity="warn"), policy=POLICY)
    warned = answered(warns, seen("1"), PRESENCE)
    assert (warned.text, warned.finding) == ("yes", "present")
    assert [alert.code for alert in warned.alerts] == ["contradiction"]


def test_an_answer_that_the_image_does_not_change_is_told_of() -> None:
    def blind(image: str, question: str) -> Mapping[str, float]:
        return yes(0.1) if question == ABSENCE else yes(0.9) | {"left lung": 0.9}

    engine = ScoringEngine(blind)
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    closed = answered(answering, seen("20"), PRESENCE)
    opened = finished(engine, answering, seen("20"))
    for answer in (closed, opened):
        assert answer.is_withheld
        assert [alert.code for alert in answer.alerts] == ["unchanged-without-image"]
    # How likely the same words are without the image is scored, not decoded anew.
    assert [one for one in engine.asked if one[1] == "black"] == [
        ("score", "black", PRESENCE),
        ("score", "black", OPEN),
    ]


def test_a_gate_before_the_model_keeps_it_from_being_asked() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    alert = Alert(code="blurred", gate="quality", withholds=False, detail="It is blurred.")
    for question in (PRESENCE, SIDE, OPEN):
        answer = answered(answering, seen("20", alert), question)
        assert (answer.text, answer.model_text, answer.confidence) == ("cannot tell", None, None)
    assert engine.asked == []


def test_a_question_out_of_scope_is_withheld_warned_of_or_answered() -> None:
    engine = ScoringEngine(truthful)

    def ask(gates: Gates, question: str) -> SafeAnswer:
        return answered(SafeAnswering(engine, gates=gates), seen("20"), question)

    cost = "Is there a price of this scan?"
    withheld = ask(replace(NONE, scope="withhold"), cost)
    assert (withheld.is_withheld, engine.asked) == (True, [])
    warned = ask(replace(NONE, scope="warn"), cost)
    assert (withheld.alerts[0].code, warned.alerts[0].code) == ("question-out-of-scope",) * 2
    assert not warned.is_withheld
    assert [alert.code for alert in ask(NONE, cost).alerts] == ["not-calibrated"]
    assert not ask(EVERY, PRESENCE).is_withheld


@pytest.mark.parametrize(
    ("gates", "has_policy", "least"),
    [
        (EVERY, True, 0.4),
        (replace(EVERY, threshold="warn"), True, None),
        (replace(EVERY, threshold="off"), True, None),
        (EVERY, False, None),
    ],
)
def test_text_is_held_back_below_the_threshold_only_where_it_withholds(
    gates: Gates, *, has_policy: bool, least: float | None
) -> None:
    answering = SafeAnswering(
        ScoringEngine(truthful), gates=gates, policy=POLICY if has_policy else None
    )
    found = answering.begin(seen("20"), OPEN, DECODING)
    assert isinstance(found, OpenQuestion)
    assert found == OpenQuestion(
        question=OPEN, image=seen("20"), decoding=DECODING, least_confidence=least
    )


def test_an_unsure_open_answer_is_withheld_with_its_tokens() -> None:
    engine = ScoringEngine(lambda image, question: {"left lung": 0.39 if image == "1" else 0.01})
    answer = finished(engine, SafeAnswering(engine, gates=EVERY, policy=POLICY), seen("1"))
    assert (answer.text, answer.tokens, answer.calibrated) == ("cannot tell", (), None)
    assert (answer.model_text, answer.confidence, answer.num_prompt_tokens) == (
        "left lung",
        0.39,
        9,
    )
    assert [alert.code for alert in answer.alerts] == ["low-confidence"]


@pytest.mark.parametrize(
    ("answer", "stop", "blank"),
    [
        (replace(LEFT, finish_reason="length"), (), "passed"),
        (LEFT, ("lung",), "not-applicable"),
    ],
    ids=["length", "stop text"],
)
def test_the_beginning_of_an_answer_is_not_taken_for_an_answer(
    answer: Answer, stop: tuple[str, ...], blank: str
) -> None:
    """`max_tokens` once let words past the threshold that the whole answer did not reach."""
    engine = ScoringEngine(truthful)
    decoding = replace(DECODING, stop=stop)
    for gates, text in ((EVERY, "cannot tell"), (replace(EVERY, threshold="off"), "left")):
        answering = SafeAnswering(engine, gates=gates, policy=POLICY)
        found = answering.begin(seen("20"), OPEN, decoding)
        assert isinstance(found, OpenQuestion)
        safe = answering.finish(found, answer)
        assert (safe.text, safe.calibrated) == (text, None)
        assert blank in [one.outcome for one in safe.gates if one.gate == "blank"]


def test_a_stop_text_that_was_never_said_cuts_nothing() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    found = answering.begin(seen("20"), OPEN, replace(DECODING, stop=("\n",)))
    assert isinstance(found, OpenQuestion)
    end = ChosenToken(text="", token_bytes=b"", log_probability=0.0)
    assert answering.finish(found, replace(LEFT, tokens=(end,))).calibrated is not None


def test_a_cut_answer_about_a_black_image_is_still_the_same_without_the_image() -> None:
    engine = ScoringEngine(lambda image, question: {"left": 0.1})
    engine.score = lambda image, question, choices: [  # type: ignore[method-assign]
        ScoredChoice(text=one, log_probability=math.log(0.05), tokens=(HALF, TENTH))
        for one in choices
    ]
    answering = SafeAnswering(engine, gates=EVERY, policy=POLICY)
    found = answering.begin(seen("black"), OPEN, DECODING)
    assert isinstance(found, OpenQuestion)
    cut = replace(LEFT, confidence=0.5, finish_reason="length")
    codes = [alert.code for alert in answering.finish(found, cut).alerts]
    assert "unchanged-without-image" in codes


def test_without_a_policy_every_answer_says_that_it_is_not_calibrated() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=EVERY)
    for answer in (
        answered(answering, seen("20"), PRESENCE),
        finished(engine, answering, seen("20")),
    ):
        assert answer.calibrated is None
        assert [alert.code for alert in answer.alerts] == ["not-calibrated"]


def test_a_size_is_asked_of_a_file_that_knows_none() -> None:
    engine = ScoringEngine(truthful)
    answering = SafeAnswering(engine, gates=NONE, policy=POLICY)
    question = "How big is the mass?"
    for has_spacing, codes in ((False, ["spacing-missing"]), (True, [])):
        image = replace(seen("20"), has_spacing=has_spacing)
        answer = finished(engine, answering, image, question)
        assert [alert.code for alert in answer.alerts] == codes
