"""What a client asks, and what it says of the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tinymed.engines.decoding import Decoding
from tinymed.errors import UserError
from tinymed.safe.question_text import visible_text
from tinymed.serve.settings import Limits

Decision = Literal["accept", "reject", "edit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a client asks."""

    text: str
    frame: int | None = None
    """From 0; None for the frame of the image that is shown first."""
    own_read: str = ""
    """What the clinician read before asking ("your read first"); audited with the question."""
    decoding: Decoding = field(default_factory=Decoding)
    safe: bool = True
    """Whether the gates stand between the model and the client."""
    withdraws: bool = True
    """Whether the client can take text back. If not, text is held until it holds for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a clinician says of an answer."""

    answer: str
    """The answer's id."""
    decision: Decision
    reason: str = ""
    text: str = ""
    """The answer as it should be, of an edit."""


def check_question(question: Question, limits: Limits) -> None:
    """Refuse a question that says nothing or takes too much.

    Raises:
        UserError: With what is wrong.
    """
    if not visible_text(question.text):
        raise UserError("The question is empty. Ask something about the image.")
    _check_text("question", question.text, limits)
    _check_text("read of your own", question.own_read, limits)
    if not 1 <= question.decoding.max_new_tokens <= limits.max_new_tokens:
        raise UserError(
            f"An answer may have 1 to {limits.max_new_tokens} tokens here, and "
            f"{question.decoding.max_new_tokens} were asked for."
        )


def check_verdict(verdict: Verdict, limits: Limits) -> None:
    """Refuse a verdict that does not say enough, or says too much.

    Raises:
        UserError: With what is wrong.
    """
    if verdict.decision == "edit" and not verdict.text.strip():
        raise UserError("An edit needs the answer as it should be. Write it down.")
    if verdict.decision == "reject" and not verdict.reason.strip():
        raise UserError("A rejection needs its reason. Write it down.")
    _check_text("reason", verdict.reason, limits)
    _check_text("text", verdict.text, limits)


def _check_text(name: str, text: str, limits: Limits) -> None:
    if len(text) > limits.max_question_characters:
        raise UserError(
            f"The {name} has {len(text)} characters, and at most "
            f"{limits.max_question_characters} are taken. Say it in fewer."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can bring
        raise UserError(f"The {name} holds what is no character. Write it again.") from error
