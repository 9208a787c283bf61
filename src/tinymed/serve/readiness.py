"""Whether questions are answered, and what is said where they are not."""

from __future__ import annotations

import logging
import time
from typing import Literal

from tinymed.errors import TinymedError
from tinymed.serve.defects import where
from tinymed.serve.refusals import NotReadyError

_log = logging.getLogger("tinymed.serve")

State = Literal["loading", "ready", "failed", "draining"]

LOADING_RETRY_S = 2
OTHER_RETRY_S = 30


class Readiness:
    """Where the service is on its way from loading to its end."""

    def __init__(self) -> None:
        """Loading."""
        self.state: State = "loading"
        self.problem: str | None = None
        """Why there is no model, in a sentence."""
        self._began = time.monotonic()

    def check(self) -> None:
        """Refuse what needs the model, unless it is there.

        Raises:
            NotReadyError: With why, and when to come again.
        """
        if self.state != "ready":
            raise self.refusal()

    def refusal(self) -> NotReadyError:
        """What is said while it is not ready."""
        if self.state == "loading":
            return NotReadyError(
                "The model is still loading. Try again in a moment.",
                retry_after_s=LOADING_RETRY_S,
            )
        if self.problem is not None:
            return NotReadyError(self.problem, retry_after_s=OTHER_RETRY_S)
        return NotReadyError(
            "The server is ending. Ask again when it is back.", retry_after_s=OTHER_RETRY_S
        )

    def loaded(self, name: str) -> None:
        """The model is there; where the service is ending, that changes nothing."""
        if self.state == "loading":
            self.state = "ready"
            _log.info("%s ready after %.1f s", name, time.monotonic() - self._began)

    def failed(self, error: BaseException) -> None:
        """The model could not be loaded, or its thread has ended."""
        what = "The model has stopped" if self.state == "ready" else "The model cannot be loaded"
        _log.error("%s: %s", what, where(error))
        self.problem = (
            str(error)
            if isinstance(error, TinymedError)
            else f"{what} because of a defect; the server's log says where."
        )
        self.state = "failed"

    def end(self) -> None:
        """Nothing new is taken from now on."""
        self.state = "draining"
