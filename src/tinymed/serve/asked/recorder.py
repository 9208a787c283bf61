"""The way to the audit from the event loop: rows are on the disk when a write is through."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.metrics import Metrics


class Recorder:
    """Writes to the audit in a thread of its own, row after row."""

    def __init__(self, audit: AuditLog, metrics: Metrics) -> None:
        self._audit = audit
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tinymed-audit")
        self._is_closed = False
        self.problem: str | None = None
        """Why the last write failed, in a sentence; None if it did not."""

    async def write(self, *entries: Entry) -> None:
        """Write all entries or none; a caller that is cancelled does not stop them.

        Raises:
            AuditError: If they are not on the disk. No answer may be given then.
        """
        if self._is_closed:
            raise AuditError("The audit is closed, because the server is ending. Ask again later.")
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._thread, self._audit.append, *entries)
        writing.add_done_callback(self._note)
        # Shielded: a row that still waits behind others would be cancelled with its caller.
        await asyncio.shield(writing)

    def close(self) -> None:
        """Write what is under way and close the audit; not for the event loop."""
        self._is_closed = True
        self._thread.shutdown()
        self._audit.close()

    def _note(self, writing: asyncio.Future[tuple[int, ...]]) -> None:
        """Keep how a write ended, also where nobody waits for it any more."""
        error = writing.exception()
        if isinstance(error, AuditError):
            self.problem = str(error)
            self._metrics.count_audit_failure()
        elif error is None:
            self.problem = None
