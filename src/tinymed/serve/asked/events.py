"""What happens to a question, in the order in which a client hears of it."""

from __future__ import annotations

from dataclasses import dataclass

from tinymed.safe.safe_answer import SafeAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """It waits; sent at once, and again whenever the place changes."""

    ahead: int
    """Questions that are answered before it, as things stand; 0 when its turn has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A new piece of the answer."""

    piece: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """What was shown so far does not hold: the answer will be "cannot tell"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where an answer's time went."""

    wait_ms: float
    """In the queue."""
    encode_ms: float
    """Vision encoder, connector and the prompt up to the question; 0 where the image had been
    read before."""
    first_text_ms: float
    """From the question's arrival to its first text."""
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The whole answer; it stands in the audit."""

    id: str
    """Unique; by which a verdict names it."""
    answer: SafeAnswer
    timings: Timings


Event = Queued | Text | Withdrawn | Answered
