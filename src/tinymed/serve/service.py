"""What the routes call: cases come in, questions are answered, verdicts are kept."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import Any

from tinymed.images.received import ReceivedFrame
from tinymed.serve.asked.as_json import verdict_json
from tinymed.serve.asked.asking import Asking, Office
from tinymed.serve.asked.audited import (
    AuditedQuestion,
    AuditedWords,
    received,
    started,
    verdict_entry,
)
from tinymed.serve.asked.events import Event
from tinymed.serve.asked.question import Question, Verdict, check_question, check_verdict
from tinymed.serve.asked.recorder import Recorder
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.background import Background
from tinymed.serve.cases.cases import MAX_VERDICTS, Case, Cases
from tinymed.serve.cases.pictures import DecodesImages, Pictures
from tinymed.serve.desk.desk import Desk
from tinymed.serve.desk.jobs import Picture, ReadJob
from tinymed.serve.desk.loaded_model import LoadedModel, ModelFacts
from tinymed.serve.freed_memory import give_back_freed
from tinymed.serve.metrics import Metrics
from tinymed.serve.readiness import Readiness, State
from tinymed.serve.refusals import TooLargeError, TooManyWaitingError
from tinymed.serve.settings import ServeSettings

SWEEP_S = 30.0
"""How often it is looked for cases that nobody touches, and for freed memory."""
LAST_WORDS_S = 1.0
"""How long questions may take, at the end, to hear that there will be no answer."""


class Service:
    """The one place where model, queue, cases and audit meet. All methods are for the event loop.

    Raised by every method, each with one sentence for the client:
        UserError: The request cannot be answered as it is (400; ImageError 422).
        NoSuchCaseError: 404.
        TooManyWaitingError: 429 or 503, with `retry_after_s`.
        NotReadyError: 503, with `retry_after_s`: loading, draining, or without a model.
        AuditError: 503: the audit cannot be written, so no answer is given.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        load: Callable[[], LoadedModel],
        decoder: DecodesImages,
        audit: AuditLog,
    ) -> None:
        """A service that has not started.

        Args:
            settings: How it is to run.
            load: Opens the model; called in the model's thread.
            decoder: Decodes image files; closed with the service.
            audit: Keeps what is asked and answered; closed with the service.
        """
        self.settings = settings
        self.facts: ModelFacts | None = None
        """What clients are told of the model; None until it is loaded."""
        self.metrics = Metrics()
        self._readiness = Readiness()
        self._recorder = Recorder(audit, self.metrics)
        self._pictures = Pictures(decoder, self.metrics)
        self._desk = Desk(
            load,
            limits=settings.limits,
            gates=settings.gates,
            metrics=self.metrics,
            on_loaded=self._on_loaded,
        )
        self._cases = Cases(settings.limits, on_forgotten=self._desk.forget)
        self._background = Background()
        self._office = Office(
            desk=self._desk,
            recorder=self._recorder,
            metrics=self.metrics,
            background=self._background,
        )
        self._askings: set[Asking] = set()
        self._nobody_asks = asyncio.Event()
        self._nobody_asks.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.metrics.watch("waiting", "Questions and images in the queue.", self._desk.num_waiting)
        self.metrics.watch("running", "Questions being decoded.", self._desk.num_running)
        self.metrics.watch("cases", "Open cases.", lambda: len(self._cases))
        self.metrics.watch("case_bytes", "Images of all cases.", self._cases.num_bytes)
        self.metrics.watch("read_bytes", "Kept key-value caches.", self._desk.num_read_bytes)

    async def start(self) -> None:
        """Begin to load the model."""
        self._loop = asyncio.get_running_loop()
        self._sweeper = asyncio.create_task(self._sweep())
        self._desk.start()

    async def drain(self) -> None:
        """Take nothing new, and let what is under way end, as long as the settings allow."""
        self._readiness.end()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nobody_asks.wait(), self.settings.limits.drain_s)
        finally:
            for asking in self._askings:
                asking.end(self._readiness.refusal())

    async def close(self) -> None:
        """End the model's thread, and have all rows on the disk."""
        self._readiness.end()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.to_thread(self._desk.close)
        with suppress(TimeoutError):  # what the desk said last reaches the questions
            await asyncio.wait_for(self._nobody_asks.wait(), LAST_WORDS_S)
        await self._background.wait()
        await asyncio.to_thread(self._recorder.close)
        await asyncio.to_thread(self._pictures.close)

    @property
    def state(self) -> State:
        """Whether questions are answered; "failed" also while the audit cannot be written."""
        state = self._readiness.state
        return "failed" if state == "ready" and self._recorder.problem is not None else state

    @property
    def problem(self) -> str | None:
        """Why no question is answered, in a sentence; None if nothing is wrong."""
        return self._readiness.problem or self._recorder.problem

    def about(self) -> dict[str, Any]:
        """What the page is told of the model, its gates and the limits."""
        limits = self.settings.limits
        facts = asdict(self.facts) if self.facts is not None else {}
        return {
            "state": self.state,
            "model": facts.pop("name", None),
            **facts,
            "gates": {
                name.replace("_", "-"): mode for name, mode in asdict(self.settings.gates).items()
            },
            "limits": {
                "max_upload_bytes": limits.max_upload_bytes,
                "max_question_characters": limits.max_question_characters,
            },
        }

    async def receive(self, body: bytes, *, user: str) -> Case:
        """Decode an image file and begin to encode it.

        The same bytes give a new case that shares what has been computed for the old one.
        """
        self._readiness.check()
        self._desk.check_room(user)
        limit = self.settings.limits.max_upload_bytes
        if len(body) > limit:
            raise TooLargeError(
                f"The image has more than {limit // 1_000_000} MB. Send a smaller one."
            )
        sha256 = await self._pictures.digest(body)
        image = self._cases.image(sha256)
        if image is None:
            decoded = await self._pictures.decode(sha256, body)
            image = self._cases.image(sha256) or decoded
        case = self._cases.open(image, user=user)
        entry = received(image, case=case.id, user=user, num_bytes=len(body))
        try:
            await asyncio.gather(
                self._recorder.write(entry),
                self._pictures.picture(
                    image, image.first_frame, on_prepared=lambda one: self._read_ahead(one, user)
                ),
            )
        except BaseException:
            self._cases.close(case)
            raise
        self._cases.make_room(keep=case)
        return case

    async def ask(
        self, case: Case, question: Question, *, user: str
    ) -> AsyncGenerator[Event, None]:
        """Answer a question; closing the iterator cancels it.

        `Answered` is the last event. What fails raises from the iterator.
        """
        arrived = time.perf_counter()
        self._readiness.check()
        self._cases.find(case.id, user=user)
        check_question(question, self.settings.limits)
        frame = case.first_frame if question.frame is None else question.frame
        case.check_frame(frame)
        self._desk.check_room(user)
        rows = self._rows(case, question, frame=frame, user=user)
        asking = Asking(self._office, case, rows, arrived=arrived)
        self._askings.add(asking)
        self._nobody_asks.clear()
        try:
            picture = await self._pictures.picture(case.image, frame)
            self._cases.make_room(keep=case)
            async with aclosing(asking.events(picture)) as events:
                async for event in events:
                    yield event
        finally:
            self._askings.discard(asking)
            if not self._askings:
                self._nobody_asks.set()

    async def judge(self, case: Case, verdict: Verdict, *, user: str) -> None:
        """Keep a clinician's verdict; it is on the disk when this returns."""
        self._cases.find(case.id, user=user)
        check_verdict(verdict, self.settings.limits)
        verdicts = case.entry(verdict.answer)["verdicts"]
        words = self._words(case)
        await self._recorder.write(verdict_entry(verdict, case=case.id, user=user, words=words))
        verdicts.append(verdict_json(verdict, user=user))
        del verdicts[:-MAX_VERDICTS]

    def case(self, case_id: str, *, user: str) -> Case:
        """Find a user's own case."""
        return self._cases.find(case_id, user=user)

    async def frame(self, case: Case, index: int) -> ReceivedFrame:
        """A frame of a case, decoded now if it was not before."""
        case.check_frame(index)
        found = await self._pictures.frame(case.image, index)
        self._cases.make_room(keep=case)
        return found

    async def close_case(self, case: Case, *, keep_read: bool = False) -> None:
        """Forget a case's pixels and caches.

        Args:
            case: Closed already, it stays so.
            keep_read: Whether the image stays for who sends the same bytes again, until there is
                no room for it or nobody has for long.
        """
        self._cases.close(case, keep_image=keep_read)

    async def record(self, entry: Entry) -> None:
        """Write a row into the audit; it is on the disk when this returns."""
        await self._recorder.write(entry)

    def _words(self, case: Case) -> AuditedWords:
        return AuditedWords(private_words=case.image.private_words, keep=self.settings.keep_words)

    def _rows(self, case: Case, question: Question, *, frame: int, user: str) -> AuditedQuestion:
        assert self.facts is not None
        return AuditedQuestion(
            id=secrets.token_hex(8),
            case=case.id,
            user=user,
            image_sha256=case.image_sha256,
            frame=frame,
            question=question,
            words=self._words(case),
            facts=self.facts,
        )

    def _read_ahead(self, picture: Picture, user: str) -> None:
        """Have an image read before anybody asks; where there is no room, whoever asks waits."""
        with suppress(TooManyWaitingError):
            self._desk.put(user, ReadJob(picture=picture))

    def _on_loaded(self, outcome: LoadedModel | BaseException) -> None:
        """The model's thread has the model, or none, or no longer."""
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(lambda: self._background.begin(self._take(outcome)))

    async def _take(self, outcome: LoadedModel | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self._readiness.failed(outcome)
            for asking in self._askings:
                asking.end(self._readiness.refusal())
            return
        self._pictures.use(outcome)
        self.facts = outcome.facts
        with suppress(AuditError):  # which `state` tells
            await self._recorder.write(started(self.settings, outcome.facts))
        self._readiness.loaded(outcome.facts.name)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._cases.sweep()
            await asyncio.to_thread(give_back_freed)
