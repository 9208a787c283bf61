"""What the model's thread does: reads images, answers closed questions, decodes open ones."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from tinymed.engines.protocol import Answer
from tinymed.safe.answering import SeenImage
from tinymed.safe.gate import Alert, Gates
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.events import Text, Withdrawn
from tinymed.serve.defects import told
from tinymed.serve.desk.jobs import Done, Failed, Job, Picture, QuestionJob
from tinymed.serve.desk.loaded_model import LoadedModel
from tinymed.serve.desk.read_images import ReadImage, ReadImages
from tinymed.serve.desk.shown_text import ShownText
from tinymed.serve.metrics import Metrics

RAW = Alert(
    code="not-calibrated",
    gate=None,
    withholds=False,
    detail="The model's own words: no gate stood before or behind them.",
)
"""Stands with an answer that was asked for without gates."""


class ModelWork:
    """One model at work. For the one thread that owns it."""

    def __init__(
        self, model: LoadedModel, read_images: ReadImages, *, gates: Gates, metrics: Metrics
    ) -> None:
        self._model = model
        self._read_images = read_images
        self._metrics = metrics
        self._running: dict[int, QuestionJob] = {}
        self._blank_withholds = gates.blank == "withhold"

    @property
    def num_running(self) -> int:
        """Questions that are being decoded."""
        return len(self._running)

    @property
    def room(self) -> int:
        """How many questions can be decoded side by side."""
        return self._model.batch.room

    def start(self, job: Job) -> None:
        """Take a job up; what fails is told to its client. There must be room."""
        try:
            if isinstance(job, QuestionJob):
                self._begin(job)
            elif not job.picture.is_forgotten:
                self._read(job.picture)
        # Of all kinds: a panic of the tokenizers' Rust code is no Exception.
        except BaseException as error:  # noqa: BLE001
            self._fail(job, error)

    def step(self) -> None:
        """Decode one token of each open question, without those that were cancelled."""
        for ticket in [ticket for ticket, job in self._running.items() if job.is_cancelled]:
            del self._running[ticket]
            self._drop(ticket)
        if not self._running:
            return
        try:
            finished = self._model.batch.step()
        except BaseException as error:  # noqa: BLE001 (as in `start`)
            self._fail_all(error)
            return
        for ended in finished:
            self._finish(self._running.pop(ended.ticket), ended.answer)

    def stop_all(self, error: Exception) -> None:
        """Give up all that is being decoded."""
        self._fail_all(error)

    def _begin(self, job: QuestionJob) -> None:
        job.wait_ms = 1000 * (time.perf_counter() - job.put_at)
        job.tell_place(0)
        is_hit = self._read_images.get(job.picture.key) is not None
        self._metrics.count_prefix(is_hit=is_hit)
        read = self._read(job.picture)
        if not is_hit:
            job.encode_ms = read.encoded.encode_ms + read.encoded.prefill_ms
        question = job.question
        decoding = question.decoding
        if question.safe:
            image = SeenImage(
                encoded=read.encoded,
                alerts=job.picture.alerts + read.scope_alerts,
                not_checked=self._model.not_checked,
                has_spacing=job.picture.has_spacing,
            )
            begun = self._model.answering.begin(image, question.text, decoding)
            if isinstance(begun, SafeAnswer):
                self._deliver(job, begun)
                return
            job.opened, decoding = begun, begun.decoding
        ticket = self._model.batch.add(read.encoded, question.text, decoding, self._shown(job).push)
        self._running[ticket] = job

    def _shown(self, job: QuestionJob) -> ShownText:
        least = job.opened.least_confidence if job.opened is not None else None
        may_be_withheld = job.opened is not None and (least is not None or self._blank_withholds)
        return ShownText(
            least_confidence=least,
            is_held=may_be_withheld and not job.question.withdraws,
            show=lambda piece: job.deliver(Text(piece=piece)),
            withdraw=partial(job.deliver, Withdrawn()),
        )

    def _read(self, picture: Picture) -> ReadImage:
        """An image as the model read it, now if not before."""
        kept = self._read_images.get(picture.key)
        if kept is not None:
            return kept
        scope = self._model.scope
        encoded = self._model.engine.encode(picture.pixels, keep_stages=scope is not None)
        self._metrics.count_encode(encoded)
        alerts = scope(encoded) if scope is not None else ()
        read = ReadImage(encoded=replace(encoded, stages=None), scope_alerts=alerts)
        picture.scope_alerts = alerts
        if not picture.is_forgotten:
            self._read_images.put(picture.key, read)
        if picture.is_forgotten:  # meanwhile, it may be, and before it was put
            self._read_images.forget(picture.key[0])
        return read

    def _finish(self, job: QuestionJob, answer: Answer) -> None:
        try:
            if job.opened is not None:
                safe = self._model.answering.finish(job.opened, answer)
            else:
                safe = as_it_is(job.question.text, answer)
        except BaseException as error:  # noqa: BLE001 (as in `start`)
            self._fail(job, error)
            return
        self._deliver(job, safe)

    def _deliver(self, job: QuestionJob, answer: SafeAnswer) -> None:
        job.deliver(Done(answer=answer, wait_ms=job.wait_ms, encode_ms=job.encode_ms))

    def _fail(self, job: Job, error: BaseException) -> None:
        if isinstance(error, MemoryError):
            self._read_images.forget_all()
        during = "A question" if isinstance(job, QuestionJob) else "Reading an image"
        failed = Failed(error=told(error, during=during))
        if isinstance(job, QuestionJob):
            job.deliver(failed)

    def _fail_all(self, error: BaseException) -> None:
        """A step that fails does not tell whose fault it was."""
        for ticket, job in self._running.items():
            self._drop(ticket)
            self._fail(job, error)
        self._running.clear()

    def _drop(self, ticket: int) -> None:
        try:
            self._model.batch.drop(ticket)
        except BaseException as error:  # noqa: BLE001 (as in `start`)
            told(error, during="Dropping a question")


def as_it_is(question: str, answer: Answer) -> SafeAnswer:
    """The model's own words in a safe answer's form, for a client that asked for no gates."""
    return SafeAnswer(
        question=question,
        kind="open",
        text=answer.text,
        is_withheld=False,
        finding=None,
        confidence=answer.confidence,
        calibrated=None,
        alerts=(RAW,),
        gates=(),
        model_text=answer.text,
        finish_reason=answer.finish_reason,
        tokens=answer.tokens,
        num_prompt_tokens=answer.num_prompt_tokens,
        num_tokens=answer.num_tokens,
    )
