"""What happens to a question as server-sent events, until it is answered or its client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tinymed.errors import TinymedError
from tinymed.serve.asked.events import Answered, Event, Queued, Text
from tinymed.serve.cases.cases import Case
from tinymed.serve.defects import told
from tinymed.serve.refusals import refusal

WAIT_S = 10.0
"""After which a comment keeps a silent line open."""

Events = AsyncGenerator[Event, None]


class EventStream(StreamingResponse):
    """Tells a question's events; when the client leaves, the question is cancelled."""

    def __init__(self, first: Event, events: Events, case: Case) -> None:
        """Tell an event that has come, and those that follow.

        Args:
            first: The first event; what refuses a question has been raised in its place.
            events: What follows; closed at the end.
            case: Where an answer is found as clients see it.
        """
        super().__init__(self._lines(first), media_type="text/event-stream")
        self._events = events
        self._case = case
        self._next: asyncio.Future[Event] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, or as many as the client stays for."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._next is not None:
                self._next.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration, TinymedError):
                    await self._next
            await self._events.aclose()

    async def _lines(self, first: Event) -> AsyncGenerator[str, None]:
        yield self._told(first)
        while True:
            if self._next is None:
                self._next = asyncio.ensure_future(anext(self._events))
            done, _ = await asyncio.wait({self._next}, timeout=WAIT_S)
            if not done:
                yield ": wait\n\n"
                continue
            following, self._next = self._next, None
            try:
                event = following.result()
            except StopAsyncIteration:
                return
            except Exception as error:  # noqa: BLE001 (a border: the client is told in a sentence)
                refused = refusal(told(error, during="A question"))
                yield _event("error", {"message": refused.message, "code": refused.code})
                return
            yield self._told(event)

    def _told(self, event: Event) -> str:
        if isinstance(event, Queued):
            return _event("queued", {"ahead": event.ahead})
        if isinstance(event, Text):
            return _event("text", {"piece": event.piece})
        if isinstance(event, Answered):
            return _event("answer", self._case.entry(event.id))
        return _event("withdrawn", {})


def _event(name: str, data: dict[str, Any]) -> str:
    # JSON spells line ends out, so that data is one line.
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
