"""What is to be done also when whoever wanted it has left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from tinymed.serve.audit.errors import AuditError
from tinymed.serve.defects import where

_log = logging.getLogger("tinymed.serve")


class Background:
    """Tasks that nobody cancels; for the event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task, which who waits for it should shield."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self) -> None:
        """Until all are through, and those that they begin."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = task.exception() if not task.cancelled() else None
        if error is not None and not isinstance(error, AuditError):  # which the recorder counts
            _log.error("a row was not written: %s", where(error))
