"""What every gate does in every mode, and what no gate ever does."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
from policies import POLICY, WITHOUT_FIT

from tinymed.engines.decoding import ChosenToken
from tinymed.safe.decide import (
    CANNOT_TELL,
    GATES,
    GATES_BEFORE,
    Before,
    decide,
    withholds_before,
)
from tinymed.safe.gate import Alert, AlertCode, GateName, GateOutcome, Gates, Mode
from tinymed.safe.policy import SafetyPolicy
from tinymed.safe.question_kind import read_question
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.safe.said import Said

QUESTION = read_question("Is there a pleural effusion?")
TOKEN = ChosenToken(text="Yes", token_bytes=b"Yes", log_probability=-0.1)
SURE = Said(
    text="yes",
    confidence=0.9,
    to_opposite="no",
    confidence_without=0.5,
    tokens=(TOKEN,),
    num_tokens=2,
    num_prompt_tokens=90,
)
CODES: dict[GateName, AlertCode] = {
    "quality": "blurred",
    "film-photo": "film-photo",
    "text": "text-in-image",
    "scope": "image-out-of-scope",
    "polarity": "contradiction",
    "blank": "unchanged-without-image",
    "threshold": "low-confidence",
}


def modes(default: Mode, **others: Mode) -> Gates:
    fields: dict[str, Mode] = {gate.replace("-", "_"): default for gate in GATES}
    return Gates(**(fields | others))


def only(gate: GateName, mode: Mode) -> Gates:
    return modes("off", **{gate.replace("-", "_"): mode})


def tripped(gate: GateName) -> tuple[Before, Said]:
    """What one gate, and no other, has something to say of."""
    if gate in GATES_BEFORE:
        alert = Alert(code=CODES[gate], gate=gate, withholds=False, detail="It is so.")
        return Before(alerts=(alert,)), SURE
    changed = {
        "polarity": replace(SURE, to_opposite="yes"),
        "blank": replace(SURE, confidence_without=0.9),
        "threshold": replace(SURE, confidence=0.6),
    }
    return Before(), changed[gate]


def decided(
    before: Before, said: Said | None, gates: Gates, policy: SafetyPolicy | None = POLICY
) -> SafeAnswer:
    return decide(QUESTION, before, said, gates=gates, policy=policy)


def outcome(answer: SafeAnswer, gate: GateName) -> GateOutcome:
    (found,) = [one for one in answer.gates if one.gate == gate]
    return found


def test_every_gate_of_the_interface_is_decided() -> None:
    assert set(get_args(GateName)) == set(GATES)
    answer = decided(Before(), SURE, modes("withhold"))
    assert [one.gate for one in answer.gates] == list(GATES)


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_is_off_does_nothing(gate: GateName) -> None:
    before, said = tripped(gate)
    answer = decided(before, said, modes("off"))
    assert (answer.text, answer.is_withheld, answer.alerts) == ("yes", False, ())
    assert outcome(answer, gate).outcome == "not-applicable"
    assert not withholds_before(before, modes("off"))


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_warns_raises_an_alert_and_leaves_the_answer(gate: GateName) -> None:
    before, said = tripped(gate)
    answer = decided(before, said, only(gate, "warn"))
    assert (answer.text, answer.is_withheld, answer.finding) == ("yes", False, "present")
    (alert,) = answer.alerts
    assert (alert.code, alert.gate, alert.withholds) == (CODES[gate], gate, False)
    assert (outcome(answer, gate).outcome, outcome(answer, gate).why) == ("warned", alert.detail)
    assert not withholds_before(before, only(gate, "warn"))


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_that_withholds_makes_it_cannot_tell(gate: GateName) -> None:
    before, said = tripped(gate)
    answer = decided(before, said, only(gate, "withhold"))
    assert (answer.text, answer.is_withheld) == (CANNOT_TELL, True)
    assert (answer.finding, answer.calibrated) == ("cannot-tell", None)
    (alert,) = answer.alerts
    assert (alert.code, alert.gate, alert.withholds) == (CODES[gate], gate, True)
    assert outcome(answer, gate).outcome == "withheld"
    assert withholds_before(before, only(gate, "withhold")) is (gate in GATES_BEFORE)


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_with_nothing_to_say_passes(gate: GateName) -> None:
    answer = decided(Before(), SURE, only(gate, "withhold"))
    assert (answer.text, answer.is_withheld, answer.alerts) == ("yes", False, ())
    assert outcome(answer, gate) == GateOutcome(gate=gate, mode="withhold", outcome="passed")


def test_a_withheld_answer_shows_nothing_of_what_the_model_said() -> None:
    for gate in GATES:
        before, said = tripped(gate)
        answer = decided(before, replace(said, text="yes"), only(gate, "withhold"))
        assert (answer.text, answer.tokens) == (CANNOT_TELL, ())
        assert answer.model_text == "yes"


def test_no_gate_in_any_mode_ever_turns_an_answer_round() -> None:
    """A contradiction withholds or warns; the other answer is never given."""
    every_mode: tuple[Mode, ...] = get_args(Mode)
    for said, opposite, mode in product(("yes", "no"), ("yes", "no"), every_mode):
        heard = replace(SURE, text=said, to_opposite=opposite)
        answer = decided(Before(), heard, only("polarity", mode))
        contradicts = said == opposite
        withheld = contradicts and mode == "withhold"
        assert answer.text == (CANNOT_TELL if withheld else said)
        wanted = {"yes": "present", "no": "absent"}[said]
        assert answer.finding == ("cannot-tell" if withheld else wanted)
        assert bool(answer.alerts) is (contradicts and mode != "off")


def test_the_model_was_not_asked_where_a_gate_closed_before_it() -> None:
    before, _ = tripped("scope")
    answer = decided(before, None, modes("withhold"))
    assert (answer.text, answer.is_withheld, answer.finding) == (CANNOT_TELL, True, "cannot-tell")
    assert (answer.model_text, answer.confidence, answer.calibrated) == (None, None, None)
    assert (answer.num_tokens, answer.num_prompt_tokens) == (0, 0)
    behind = ("polarity", "blank", "threshold")
    assert {outcome(answer, gate).why for gate in behind} == {"the model was not asked"}
    # Nothing was measured of an answer that was not given.
    assert "not-calibrated" not in [alert.code for alert in answer.alerts]


def test_a_gate_that_could_not_look_says_why() -> None:
    before = Before(not_checked={"scope": "no statistics for this model"})
    found = outcome(decided(before, SURE, modes("withhold")), "scope")
    assert (found.outcome, found.why) == ("not-applicable", "no statistics for this model")


def test_a_gate_that_could_not_look_at_the_image_still_tells_of_the_question() -> None:
    before = replace(tripped("scope")[0], not_checked={"scope": "no statistics"})
    for said in (SURE, None):
        answer = decided(before, said, modes("withhold"))
        assert (outcome(answer, "scope").outcome, answer.text) == ("withheld", CANNOT_TELL)


def test_an_alert_of_no_gate_reaches_the_answer_and_closes_nothing() -> None:
    alert = Alert(code="single-slice", gate=None, withholds=False, detail="One of many.")
    answer = decided(Before(alerts=(alert,)), SURE, modes("withhold"))
    assert (answer.alerts, answer.is_withheld) == ((alert,), False)


def test_without_an_opposite_polarity_does_not_apply() -> None:
    answer = decided(Before(), replace(SURE, to_opposite=None), modes("withhold"))
    assert outcome(answer, "polarity").outcome == "not-applicable"
    assert answer.text == "yes"


def test_a_threshold_lets_pass_what_just_reaches_it() -> None:
    gates = only("threshold", "withhold")
    assert decided(Before(), replace(SURE, confidence=0.7), gates).text == "yes"
    assert decided(Before(), replace(SURE, confidence=0.699), gates).text == CANNOT_TELL


def test_closed_and_open_questions_have_thresholds_of_their_own() -> None:
    heard = Said(text="left lung", confidence=0.5)
    answer = decide(
        read_question("Where is it?"),
        Before(),
        heard,
        gates=only("threshold", "withhold"),
        policy=POLICY,
    )
    assert (answer.kind, answer.text, answer.finding) == ("open", "left lung", None)


def test_a_calibrated_figure_says_of_how_many_and_of_which_split() -> None:
    found = decided(Before(), SURE, modes("off")).calibrated
    assert found is not None
    assert (found.num_samples, found.split) == (400, "set validation")
    assert found.probability == pytest.approx(0.9)


def test_no_figure_stands_beside_an_image_or_a_question_out_of_scope() -> None:
    """The split that it is of held none like them."""
    before, said = tripped("scope")
    answer = decided(before, said, only("scope", "warn"))
    assert (answer.text, answer.calibrated) == ("yes", None)
    assert [alert.code for alert in answer.alerts] == ["image-out-of-scope"]
    assert decided(before, said, modes("off")).calibrated is not None


@pytest.mark.parametrize("policy", [None, WITHOUT_FIT])
def test_without_a_measurement_there_is_no_figure_no_threshold_and_an_alert(
    policy: SafetyPolicy | None,
) -> None:
    unsure = replace(SURE, confidence=0.51, confidence_without=0.1)
    answer = decided(Before(), unsure, modes("withhold"), policy)
    assert (answer.text, answer.confidence, answer.calibrated) == ("yes", 0.51, None)
    assert [(one.code, one.gate, one.withholds) for one in answer.alerts] == [
        ("not-calibrated", None, False)
    ]
    found = outcome(answer, "threshold")
    assert found.outcome == "not-applicable"
    assert found.why == (
        "nothing was measured for this model" if policy is None else "No threshold gives 90 %."
    )


def test_an_alert_tells_what_was_measured() -> None:
    before, said = tripped("threshold")
    (alert,) = decided(before, said, only("threshold", "warn")).alerts
    assert alert.figures == {"confidence": 0.6, "least_confidence": 0.7}
    before, said = tripped("blank")
    (alert,) = decided(before, said, only("blank", "warn")).alerts
    assert alert.figures == {"confidence": 0.9, "confidence_without_image": 0.9}
    before, said = tripped("polarity")
    (alert,) = decided(before, said, only("polarity", "warn")).alerts
    assert "Is there no pleural effusion?" in alert.detail
