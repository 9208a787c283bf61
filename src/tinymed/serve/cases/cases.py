"""The cases: images in memory, whose they are, and when they are closed."""

from __future__ import annotations

import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from tinymed.safe.gate import Alert
from tinymed.serve.asked.as_json import alert_json, image_json
from tinymed.serve.cases.stored_image import StoredImage
from tinymed.serve.desk.read_images import SHARE_OF_READ_IMAGES
from tinymed.serve.refusals import NoSuchAnswerError, NoSuchCaseError, NoSuchFrameError
from tinymed.serve.settings import Limits

MAX_HISTORY = 1000
"""Questions that a case remembers; the audit keeps them all."""
MAX_VERDICTS = 100
"""Verdicts on one answer that a case remembers; the audit keeps them all."""

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""None that is easily read for another."""


class Case:
    """One image file and what was asked about it; in memory only."""

    def __init__(self, image: StoredImage, *, user: str, now: float) -> None:
        """A new case."""
        self.id = "".join(secrets.choice(_LETTERS) for _ in range(12))
        """A pseudonym: 12 letters and digits, drawn by the server."""
        self.user = user
        self.image = image
        self.touched_at = now
        """When somebody last asked for it, by the clock of `Cases`."""
        self.history: list[dict[str, Any]] = []
        """JSON rows: question, answer, verdicts, times; what the page shows and exports."""

    @property
    def image_sha256(self) -> str:
        """Of the file's bytes."""
        return self.image.sha256

    @property
    def num_frames(self) -> int:
        """Of the file."""
        return self.image.num_frames

    @property
    def first_frame(self) -> int:
        """The frame that is shown first, from 0."""
        return self.image.first_frame

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Of the image, whatever is asked: of the frame that is shown first."""
        picture = self.image.picture(self.first_frame)
        return picture.alerts + picture.scope_alerts if picture is not None else ()

    def check_frame(self, index: int) -> None:
        """Refuse a frame that the image does not have.

        Raises:
            NoSuchFrameError: If it does not.
        """
        if not 0 <= index < self.num_frames:
            raise NoSuchFrameError(
                f"The image has no frame {index}. Choose one from 0 to {self.num_frames - 1}."
            )

    def entry(self, answer_id: str) -> dict[str, Any]:
        """The history's row of an answer.

        Raises:
            NoSuchAnswerError: If there is no such answer.
        """
        for row in self.history:
            if row["id"] == answer_id and row["answer"] is not None:
                return row
        raise NoSuchAnswerError("This case has no such answer. Judge one that it shows.")

    def remember(self, entry: dict[str, Any]) -> None:
        """Add a row to the history."""
        self.history.append(entry)
        del self.history[:-MAX_HISTORY]

    def as_json(self) -> dict[str, Any]:
        """The case object that clients see."""
        return {
            "case": self.id,
            "image": image_json(self.image),
            "alerts": [alert_json(alert) for alert in self.alerts],
            "history": self.history,
        }


class Cases:
    """The open cases and their images; for one thread."""

    def __init__(
        self,
        limits: Limits,
        *,
        on_forgotten: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """No case open.

        Args:
            limits: How many, how large, and for how long nobody need touch one.
            on_forgotten: Told the sha256 of an image that is no longer kept.
            clock: Seconds.
        """
        self._limits = limits
        self._max_bytes = int((1 - SHARE_OF_READ_IMAGES) * limits.max_case_bytes)
        self._on_forgotten = on_forgotten
        self._clock = clock
        self._cases: OrderedDict[str, Case] = OrderedDict()
        """Those touched longest ago first."""
        self._images: dict[str, StoredImage] = {}
        self._without_case: OrderedDict[str, float] = OrderedDict()
        """Images kept for who sends the same bytes again, and when their last case closed."""

    def __len__(self) -> int:
        return len(self._cases)

    def image(self, sha256: str) -> StoredImage | None:
        """A file's image, if it is kept."""
        return self._images.get(sha256)

    def open(self, image: StoredImage, *, user: str) -> Case:
        """Open a case about an image, and close others as far as that needs room."""
        case = Case(image, user=user, now=self._clock())
        self._images[image.sha256] = image
        self._without_case.pop(image.sha256, None)
        image.num_cases += 1
        self._cases[case.id] = case
        self.make_room(keep=case)
        return case

    def find(self, case_id: str, *, user: str) -> Case:
        """A user's own case, which counts as touched.

        Raises:
            NoSuchCaseError: If there is none, or it is another user's: they look the same.
        """
        case = self._cases.get(case_id)
        if case is None or case.user != user:
            raise NoSuchCaseError("There is no such case any more. Choose the image again.")
        self.touch(case)
        return case

    def touch(self, case: Case) -> None:
        """Somebody works with a case."""
        case.touched_at = self._clock()
        if case.id in self._cases:
            self._cases.move_to_end(case.id)

    def close(self, case: Case, *, keep_image: bool = False) -> None:
        """Close a case; its image goes with the last one, unless it is to be kept for a while."""
        if self._cases.pop(case.id, None) is None:
            return
        image = case.image
        image.num_cases -= 1
        if image.num_cases == 0:
            self._without_case[image.sha256] = self._clock()
            if not keep_image:
                self._forget(image.sha256)

    def sweep(self) -> None:
        """Close what nobody has touched for too long."""
        oldest = self._clock() - self._limits.case_idle_s
        for case in [case for case in self._cases.values() if case.touched_at < oldest]:
            self.close(case)
        for sha256 in [key for key, since in self._without_case.items() if since < oldest]:
            self._forget(sha256)

    def make_room(self, *, keep: Case | None = None) -> None:
        """Close what was used longest ago until all fits, but never `keep`.

        Images without a case go first. Then cases do, of the user who has the most of what is
        scarce, cases or bytes, so that nobody can push out another's.
        """
        limits = self._limits
        while len(self._without_case) > limits.max_cases or (
            self._without_case and self.num_bytes() > self._max_bytes
        ):
            self._forget(next(iter(self._without_case)))
        while len(self._cases) > limits.max_cases:
            if not self._close_one(keep, scarce=lambda _case: 1):
                return
        while self.num_bytes() > self._max_bytes:
            if not self._close_one(keep, scarce=lambda case: case.image.num_bytes()):
                return

    def num_bytes(self) -> int:
        """What all images take, without what the model has read."""
        return sum(image.num_bytes() for image in self._images.values())

    def _close_one(self, keep: Case | None, *, scarce: Callable[[Case], int]) -> bool:
        """Close a case of who takes the most; whether there is one that may be closed."""
        closable = [case for case in self._cases.values() if case is not keep]
        if not closable:
            return False
        taken = Counter[str]()
        for case in self._cases.values():
            taken[case.user] += scarce(case)
        self.close(max(closable, key=lambda case: taken[case.user]))  # the first: the oldest
        return True

    def _forget(self, sha256: str) -> None:
        del self._without_case[sha256]
        self._images.pop(sha256).forget()
        self._on_forgotten(sha256)
