"""What waits for the model, and what a question hears on its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinymed.safe.answering import OpenQuestion
from tinymed.safe.gate import Alert
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.events import Queued, Text, Withdrawn
from tinymed.serve.asked.question import Question
from tinymed.serve.desk.read_images import PictureKey


@dataclass(eq=False, slots=True, kw_only=True)
class Picture:
    """A frame as the model takes it."""

    key: PictureKey
    pixels: Any
    """What the engine's `encode` takes."""
    alerts: tuple[Alert, ...] = ()
    """Of the gates that look at pixels; they are through before the first question."""
    scope_alerts: tuple[Alert, ...] = ()
    """Of the gate that the model's thread passes when it reads the image."""
    has_spacing: bool = True
    """Whether the file says how large a pixel is."""
    forgotten: threading.Event = field(default_factory=threading.Event)
    """Set, for all pictures of a file at once, when nothing of it is to be kept any more."""

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing of it is to be kept any more; for any thread."""
        return self.forgotten.is_set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The question is answered; nobody has been told."""

    answer: SafeAnswer
    wait_ms: float
    encode_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """There will be no answer."""

    error: Exception
    """With one sentence for the client."""


Step = Queued | Text | Withdrawn | Done | Failed


@dataclass(eq=False, slots=True, kw_only=True)
class ReadJob:
    """An image that is to be read before anybody asks."""

    picture: Picture
    is_cancelled: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class QuestionJob:
    """A question on its way."""

    picture: Picture
    question: Question
    deliver: Callable[[Step], None]
    """Takes what happens, from any thread."""
    is_cancelled: bool = False
    ahead: int | None = None
    """What the client was last told."""
    put_at: float = field(default_factory=time.perf_counter)
    wait_ms: float = 0.0
    encode_ms: float = 0.0
    opened: OpenQuestion | None = None
    """Between the gates before and behind the model."""

    def tell_place(self, ahead: int) -> None:
        """Tell the client its place, if that is news."""
        if ahead != self.ahead:
            self.ahead = ahead
            self.deliver(Queued(ahead=ahead))


Job = ReadJob | QuestionJob
