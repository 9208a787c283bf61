"""An answer behind its gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinymed.engines.decoding import ChosenToken, FinishReason
from tinymed.records import NOTICE
from tinymed.safe.gate import Alert, GateOutcome

QuestionKind = Literal["yes-no", "choice", "open"]
Finding = Literal["present", "absent", "cannot-tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """How often answers like this one were right, where that has been measured."""

    probability: float
    """In [0, 1]."""
    num_samples: int
    """Questions of the split that it was fitted to."""
    split: str
    """What the split is called, such as "SLAKE validation"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeAnswer:
    """What a surface shows of an answer."""

    question: str
    kind: QuestionKind
    text: str
    """The answer in words; "cannot tell" where it is withheld."""
    is_withheld: bool
    finding: Finding | None
    """Only of a yes-no question whether something is there ("Is there an effusion?", "Is the
    heart enlarged?"); None for all others. Withheld: "cannot-tell"."""
    confidence: float | None
    """The model's own probability of what it answered (of yes against no, of a choice among the
    choices, of exactly an open answer's words), in [0, 1], not calibrated; None where the model
    never ran."""
    calibrated: Calibrated | None
    """None without a calibration, and where the answer is withheld, was cut off, or is of an image
    or a question out of scope."""
    alerts: tuple[Alert, ...]
    gates: tuple[GateOutcome, ...]
    model_text: str | None
    """What the model itself answered, for the audit; None where it never ran. Not to be shown
    where the answer is withheld."""
    finish_reason: FinishReason = "stop"
    tokens: tuple[ChosenToken, ...] = ()
    """Of the model's answer: those of the best choice, or of the decoded text."""
    num_prompt_tokens: int = 0
    """Read for the answer, image tokens included."""
    num_tokens: int = 0
    """Decoded or scored."""
    notice: str = NOTICE
