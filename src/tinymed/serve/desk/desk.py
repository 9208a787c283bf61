"""The desk: where questions of many meet the one thread that owns the model."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tinymed.safe.gate import Gates
from tinymed.serve.desk.fair_queue import FairQueue
from tinymed.serve.desk.jobs import Failed, Job, QuestionJob
from tinymed.serve.desk.loaded_model import LoadedModel
from tinymed.serve.desk.model_work import ModelWork
from tinymed.serve.desk.read_images import SHARE_OF_READ_IMAGES, ReadImages
from tinymed.serve.metrics import Metrics
from tinymed.serve.refusals import NotReadyError
from tinymed.serve.settings import Limits


class Desk:
    """Takes jobs from any thread; its own thread loads the model and does them fairly."""

    def __init__(
        self,
        load: Callable[[], LoadedModel],
        *,
        limits: Limits,
        gates: Gates,
        metrics: Metrics,
        on_loaded: Callable[[LoadedModel | BaseException], None],
    ) -> None:
        """A desk that nobody works at yet.

        Args:
            load: Opens the model, in the desk's thread.
            limits: How much may wait, and how much memory what has been read may take.
            gates: What each gate may do.
            metrics: Where the model's work is counted.
            on_loaded: Told the model, or why there is none, or why no longer; in the desk's
                thread.
        """
        self._load = load
        self._gates = gates
        self._metrics = metrics
        self._on_loaded = on_loaded
        self._read_images = ReadImages(int(SHARE_OF_READ_IMAGES * limits.max_case_bytes))
        self._queue = FairQueue[Job](
            max_waiting=limits.max_waiting, max_waiting_per_user=limits.max_waiting_per_user
        )
        self._work: ModelWork | None = None
        self._num_begun = 0
        """Questions that wait no longer, as of the last turn."""
        self._is_closed = False
        self._news = threading.Condition()
        """Guards the queue, and wakes the thread."""
        self._thread = threading.Thread(target=self._run, name="tinymed-model", daemon=True)

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def check_room(self, user: str) -> None:
        """Refuse one more job if there is no room for it.

        Raises:
            TooManyWaitingError: If the queue is full.
        """
        with self._news:
            self._queue.check_room(user)

    def put(self, user: str, job: Job) -> None:
        """Let a job wait for its turn.

        Raises:
            TooManyWaitingError: If the queue is full.
            NotReadyError: If nobody works at the desk any more.
        """
        with self._news:
            if self._is_closed:
                raise _ending()
            self._queue.put(user, job)
            self._tell_places()
            self._news.notify()

    def cancel(self, job: Job) -> None:
        """Forget a job: at once if it waits, before the next token if it is under way."""
        job.is_cancelled = True
        with self._news:
            if self._queue.cancel(job):
                self._tell_places()

    def forget(self, image_sha256: str) -> None:
        """Drop what the model has read of a file."""
        self._read_images.forget(image_sha256)

    def num_waiting(self) -> int:
        """Questions and images in the queue."""
        return len(self._queue)

    def num_running(self) -> int:
        """Questions that are being decoded."""
        return self._work.num_running if self._work is not None else 0

    def num_read_bytes(self) -> int:
        """What the kept key-value caches take."""
        return self._read_images.num_bytes()

    def close(self, *, timeout_s: float = 10.0) -> None:
        """Give up all that waits and runs, and end the thread; not for the thread itself."""
        with self._news:
            self._is_closed = True
            self._news.notify()
        if self._thread.ident is not None:
            # What loads cannot be stopped; it ends with the process.
            self._thread.join(timeout_s if self._work is not None else 0.0)

    def _run(self) -> None:
        try:
            model = self._load()
            self._work = ModelWork(
                model, self._read_images, gates=self._gates, metrics=self._metrics
            )
        # Of all kinds: whatever keeps the model from loading, the server tells.
        except BaseException as error:  # noqa: BLE001
            self._on_loaded(error)
            return
        self._on_loaded(model)
        try:
            self._work_on(self._work)
        # Of all kinds: whoever waits would wait for ever, for a thread that nobody misses.
        except BaseException as error:  # noqa: BLE001
            with self._news:
                self._is_closed = True
            self._on_loaded(error)

    def _work_on(self, work: ModelWork) -> None:
        while not self._is_closed:
            job = self._next(work)
            if job is not None and not job.is_cancelled:
                work.start(job)
            work.step()
        self._give_up(work)

    def _next(self, work: ModelWork) -> Job | None:
        """The job whose turn it is, once there is one; None if there is other work to do."""
        with self._news:
            self._num_begun = work.num_running
            if work.num_running >= work.room:
                return None
            while not (self._queue or work.num_running or self._is_closed):
                self._news.wait()
            job = self._queue.take() if not self._is_closed else None
            # A question in hand has begun, though the model knows nothing of it yet.
            self._num_begun += isinstance(job, QuestionJob)
            self._tell_places()
            return job

    def _tell_places(self) -> None:
        room = self._work.room if self._work is not None else 1
        questions = [job for job in self._queue.order() if isinstance(job, QuestionJob)]
        for place, job in enumerate(questions, start=max(0, self._num_begun + 1 - room)):
            job.tell_place(place)

    def _give_up(self, work: ModelWork) -> None:
        error = _ending()
        work.stop_all(error)
        with self._news:
            while (job := self._queue.take()) is not None:
                if isinstance(job, QuestionJob):
                    job.deliver(Failed(error=error))


def _ending() -> NotReadyError:
    return NotReadyError("The server is ending. Ask again when it is back.", retry_after_s=10)
