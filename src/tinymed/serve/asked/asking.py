"""One question, from its place in the queue to its row in the audit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.as_json import answer_json, timings_json, utc_now
from tinymed.serve.asked.audited import AuditedQuestion
from tinymed.serve.asked.events import Answered, Event, Text, Timings, Withdrawn
from tinymed.serve.asked.recorder import Recorder
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.background import Background
from tinymed.serve.cases.cases import Case
from tinymed.serve.desk.desk import Desk
from tinymed.serve.desk.jobs import Done, Failed, Picture, QuestionJob, Step
from tinymed.serve.desk.shown_text import rest_of
from tinymed.serve.metrics import Metrics

CLIENT_LEFT = "client-left"
"""Why most questions end that have no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Where questions are taken to."""

    desk: Desk
    recorder: Recorder
    metrics: Metrics
    background: Background


class Asking:
    """A question on its way, as its client hears of it. For the event loop."""

    def __init__(
        self, office: Office, case: Case, rows: AuditedQuestion, *, arrived: float
    ) -> None:
        """A question that has not been put yet.

        Args:
            office: Where it is taken to.
            case: What it is about, and where the answer is remembered.
            rows: What the audit will say of it.
            arrived: `time.perf_counter()` when it came in.
        """
        self._office = office
        self._case = case
        self._rows = rows
        self._arrived = arrived
        self._asked_at = utc_now()
        self._steps: asyncio.Queue[Step] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._shown = ""
        self._first_text_at: float | None = None
        self._is_asked = False
        """Whether the row that it was asked has been given to the audit."""
        self._completion: asyncio.Task[None] | None = None
        """Writes the answer down, once there is one."""

    async def events(self, picture: Picture) -> AsyncGenerator[Event, None]:
        """Put the question, and tell what happens to it; closing the iterator cancels it.

        Raises:
            TooManyWaitingError: If the queue is full.
            AuditError: If it cannot be written down.
            TinymedError: Whatever kept it from being answered.
        """
        job = QuestionJob(picture=picture, question=self._rows.question, deliver=self._deliver)
        self._office.desk.put(self._rows.user, job)
        why = CLIENT_LEFT
        try:
            async for event in self._heard():
                yield event
        except Exception as error:
            why = type(error).__name__
            raise
        finally:
            self._office.desk.cancel(job)
            if self._completion is None:
                self._office.background.begin(self._stop(why))

    def end(self, error: Exception) -> None:
        """Give the question up."""
        self._steps.put_nowait(Failed(error=error))

    def _deliver(self, step: Step) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it all clients
            self._loop.call_soon_threadsafe(self._steps.put_nowait, step)

    async def _heard(self) -> AsyncGenerator[Event, None]:
        while True:
            step = await self._steps.get()
            if isinstance(step, Failed):
                raise step.error
            if isinstance(step, Done):
                async for event in self._ended(step):
                    yield event
                return
            if isinstance(step, Text):
                await self._before_text()
                self._shown += step.piece
            elif isinstance(step, Withdrawn):
                self._shown = ""
            yield step

    async def _before_text(self) -> None:
        """Have the question on the disk before the first of its answer leaves."""
        if not self._is_asked:
            self._is_asked = True
            try:
                await self._office.recorder.write(self._rows.asked())
            except AuditError:
                self._is_asked = False
                raise
        if self._first_text_at is None:
            self._first_text_at = time.perf_counter()

    async def _ended(self, done: Done) -> AsyncGenerator[Event, None]:
        """Have the answer on the disk, then tell what of it has not been told."""
        now = time.perf_counter()
        timings = Timings(
            wait_ms=done.wait_ms,
            encode_ms=done.encode_ms,
            first_text_ms=1000 * ((self._first_text_at or now) - self._arrived),
            total_ms=1000 * (now - self._arrived),
        )
        self._completion = self._office.background.begin(self._complete(done.answer, timings))
        # Shielded: what is being written is remembered, also when the client leaves meanwhile.
        await asyncio.shield(self._completion)
        rest = rest_of(done.answer.text, shown=self._shown)
        if rest is None:
            if self._rows.question.withdraws:
                yield Withdrawn()
                yield Text(piece=done.answer.text)
        elif rest:
            yield Text(piece=rest)
        yield Answered(id=self._rows.id, answer=done.answer, timings=timings)

    async def _complete(self, answer: SafeAnswer, timings: Timings) -> None:
        entries = [self._rows.answered(answer, timings)]
        if not self._is_asked:
            entries.insert(0, self._rows.asked())
        try:
            await self._office.recorder.write(*entries)
        except AuditError:
            self._office.metrics.count_question(answer.kind, "failed")
            raise
        self._office.metrics.count_answer(answer, timings)
        self._remember(answer=answer_json(answer), timings=timings_json(timings))

    async def _stop(self, why: str) -> None:
        """Write down that there was no answer; where that cannot be, no answer was given either."""
        has_left = why == CLIENT_LEFT
        self._office.metrics.count_question("unknown", "stopped" if has_left else "failed")
        self._remember(answer=None, stopped=True)
        entries = [self._rows.stopped(why)]
        if not self._is_asked:
            entries.insert(0, self._rows.asked())
        with suppress(AuditError):
            await self._office.recorder.write(*entries)

    def _remember(self, **rest: Any) -> None:
        question = self._rows.question
        self._case.remember(
            {
                "id": self._rows.id,
                "asked_at": self._asked_at,
                "question": question.text,
                "frame": self._rows.frame,
                "own_read": question.own_read,
                **rest,
                "verdicts": [],
            }
        )
