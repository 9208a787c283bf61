"""The decision: what the gates make of what a model said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tinymed.safe.gate import Alert, AlertCode, GateName, GateOutcome, Gates, Mode
from tinymed.safe.policy import SafetyPolicy
from tinymed.safe.question_kind import ReadQuestion
from tinymed.safe.question_scope import question_alert
from tinymed.safe.safe_answer import Calibrated, Finding, SafeAnswer
from tinymed.safe.said import Said
from tinymed.safe.without_image import is_unchanged

CANNOT_TELL = "cannot tell"
GATES_BEFORE: tuple[GateName, ...] = ("quality", "film-photo", "text", "scope")
"""They look at image and question alone."""
GATES_BEHIND: tuple[GateName, ...] = ("polarity", "blank", "threshold")
GATES: tuple[GateName, ...] = (*GATES_BEFORE, *GATES_BEHIND)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """What one gate found, whatever its mode."""

    alerts: tuple[Alert, ...] = ()
    not_applicable: str = ""
    """Why it could not look, or not at the image; "" where it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is known before the model runs."""

    alerts: tuple[Alert, ...] = ()
    """Of the image and of the question."""
    not_checked: Mapping[GateName, str] = field(default_factory=dict)
    """Gates that could not look, and why."""

    def with_question(self, question: str) -> Before:
        """The same, and what is to be said of a question."""
        alert = question_alert(question)
        return self if alert is None else replace(self, alerts=(*self.alerts, alert))


def withholds_before(before: Before, gates: Gates) -> bool:
    """Whether a gate closes before the model runs."""
    return any(
        alert.gate in GATES_BEFORE and gates.mode(alert.gate) == "withhold"
        for alert in before.alerts
    )


def decide(
    question: ReadQuestion,
    before: Before,
    said: Said | None,
    *,
    gates: Gates,
    policy: SafetyPolicy | None,
) -> SafeAnswer:
    """Pass what a model said through every gate.

    A gate that closes withholds: the answer becomes "cannot tell", never its opposite.

    Args:
        question: As it was read.
        before: What is known of image and question.
        said: None where the model was not asked.
        gates: What each gate may do.
        policy: What was measured for this model, if it was.
    """
    checks = {gate: _check_before(gate, before) for gate in GATES_BEFORE}
    checks["polarity"] = _check_polarity(question, said)
    checks["blank"] = _check_blank(said)
    checks["threshold"] = _check_threshold(question, said, policy)
    alerts = [alert for alert in before.alerts if alert.gate is None]
    outcomes = []
    for gate in GATES:
        mode = gates.mode(gate)
        raised, outcome = _passed(gate, mode, checks[gate])
        alerts += raised
        outcomes.append(outcome)
    is_withheld = said is None or any(alert.withholds for alert in alerts)
    calibrated = _calibrated(question, said, policy)
    # Of an image or a question unlike those of the split the figure tells nothing.
    is_in_scope = all(alert.gate != "scope" for alert in alerts)
    if said is not None and calibrated is None:
        alerts.append(_NOT_CALIBRATED)
    return SafeAnswer(
        question=question.text,
        kind=question.kind,
        text=CANNOT_TELL if said is None or is_withheld else said.text,
        is_withheld=is_withheld,
        finding=_finding(question, said, is_withheld=is_withheld),
        confidence=None if said is None else said.confidence,
        calibrated=calibrated if is_in_scope and not is_withheld else None,
        alerts=tuple(alerts),
        gates=tuple(outcomes),
        model_text=None if said is None else said.text,
        finish_reason="stop" if said is None else said.finish_reason,
        # The model's words, which must not reach a surface by another way.
        tokens=() if said is None or is_withheld else said.tokens,
        num_prompt_tokens=0 if said is None else said.num_prompt_tokens,
        num_tokens=0 if said is None else said.num_tokens,
    )


def _passed(gate: GateName, mode: Mode, check: _Check) -> tuple[list[Alert], GateOutcome]:
    """What a gate in this mode makes of what it found."""
    if mode == "off":
        return [], GateOutcome(gate=gate, mode=mode, outcome="not-applicable", why="switched off")
    if not check.alerts:
        why = check.not_applicable
        outcome = GateOutcome(
            gate=gate, mode=mode, outcome="not-applicable" if why else "passed", why=why
        )
        return [], outcome
    withholds = mode == "withhold"
    why = " ".join(alert.detail for alert in check.alerts)
    raised = [replace(alert, withholds=withholds) for alert in check.alerts]
    closed = GateOutcome(
        gate=gate, mode=mode, outcome="withheld" if withholds else "warned", why=why
    )
    return raised, closed


def _check_before(gate: GateName, before: Before) -> _Check:
    return _Check(
        alerts=tuple(alert for alert in before.alerts if alert.gate == gate),
        not_applicable=before.not_checked.get(gate, ""),
    )


_NOT_ASKED = "the model was not asked"


def _check_polarity(question: ReadQuestion, said: Said | None) -> _Check:
    if said is None:
        return _Check(not_applicable=_NOT_ASKED)
    if said.to_opposite is None:
        return _Check(not_applicable="no rule is sure of an opposite of this question")
    if said.to_opposite != said.text:
        return _Check()
    detail = (
        "The model gives the same answer to this question and to its opposite, "
        f"\u201c{question.opposite}\u201d."
    )
    return _Check(alerts=(_alert("contradiction", "polarity", detail),))


def _check_blank(said: Said | None) -> _Check:
    if said is None or said.confidence_without is None:
        return _Check(not_applicable=_NOT_ASKED)
    if not is_unchanged(said.confidence, said.confidence_without):
        return _Check()
    alert = _alert(
        "unchanged-without-image",
        "blank",
        "The model is hardly surer of this answer with the image than without one.",
        confidence=said.confidence,
        confidence_without_image=said.confidence_without,
    )
    return _Check(alerts=(alert,))


def _check_threshold(
    question: ReadQuestion, said: Said | None, policy: SafetyPolicy | None
) -> _Check:
    if said is None:
        return _Check(not_applicable=_NOT_ASKED)
    if policy is None:
        return _Check(not_applicable="nothing was measured for this model")
    threshold = policy.threshold(question.kind)
    if threshold is None:
        return _Check(not_applicable=policy.why_no_threshold(question.kind))
    if said.confidence >= threshold and not said.is_cut:
        return _Check()
    detail = "The model is less sure of this answer than was asked of it on the validation split."
    if said.confidence >= threshold:
        detail = "The answer was cut off, and how sure the model is of the whole is not known."
    alert = _alert(
        "low-confidence",
        "threshold",
        detail,
        confidence=said.confidence,
        least_confidence=threshold,
    )
    return _Check(alerts=(alert,))


def _alert(code: AlertCode, gate: GateName, detail: str, **figures: float) -> Alert:
    return Alert(code=code, gate=gate, withholds=False, detail=detail, figures=figures)


_NOT_CALIBRATED = Alert(
    code="not-calibrated",
    gate=None,
    withholds=False,
    detail="How often answers like this are right has not been measured for this model.",
)


def _calibrated(
    question: ReadQuestion, said: Said | None, policy: SafetyPolicy | None
) -> Calibrated | None:
    if said is None or policy is None or said.is_cut:
        return None
    return policy.calibrated(question.kind, said.confidence)


def _finding(question: ReadQuestion, said: Said | None, *, is_withheld: bool) -> Finding | None:
    if not question.asks_for_finding:
        return None
    if said is None or is_withheld:
        return "cannot-tell"
    return "present" if said.text == "yes" else "absent"
