"""Connections: how many there may be, and how long a silent one is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tinymed.serve.access.tries import network_of
from tinymed.serve.guard.heads import MAX_HEAD_BYTES
from tinymed.serve.guard.refused import RefusedError, answer_of
from tinymed.serve.guard.security_headers import SECURITY_HEADERS
from tinymed.serve.settings import Limits

_REASONS = {400: "Bad Request", 408: "Request Timeout", 429: "Too Many Requests"}
_REFUSED_STAY_S = 1.0
"""How long a connection too many may stay to send a request and be told."""


class GuardedConnection(H11Protocol):
    """Uvicorn's connection, counted and timed.

    Uvicorn waits without end for a request's head, for the rest of a body nobody reads any more,
    and for a client that does not read its answer.
    """

    def __init__(
        self, *, config: Config, state: ServerState, app_state: dict[str, Any], limits: Limits
    ) -> None:
        """A connection that is about to be made."""
        super().__init__(config, state, app_state)
        self._limits = limits
        self._too_many: RefusedError | None = None
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._was_read = False
        """Whether the client has read since the last look."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it, and begin to wait for its first head."""
        super().connection_made(transport)
        others = [other for other in self.connections if isinstance(other, GuardedConnection)]
        self._too_many = self._check_room([other for other in others if other is not self])
        stay_s = _REFUSED_STAY_S if self._too_many else self._limits.header_timeout_s
        self._late = self.loop.call_later(stay_s, self._end_late)
        self._look_for_stall(0)

    def data_received(self, data: bytes) -> None:
        """Hand on what came, and time what is still to come."""
        if self._too_many is not None:
            self._refuse(self._too_many)
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Time what is still to come of the request."""
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """End with the server, unless it is ending already: TLS forgets who closes it twice."""
        if not self.transport.is_closing():
            super().shutdown()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._was_read = True
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timers."""
        for timer in (self._late, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's
        """Answer in our words, with our headers."""
        message = f"This is not HTTP/1.1, or its head is longer than {MAX_HEAD_BYTES} bytes."
        self._refuse(RefusedError(400, "bad-request", message))

    def _check_room(self, others: list[GuardedConnection]) -> RefusedError | None:
        """Why this connection is one too many, if it is."""
        counted = [other for other in others if other._too_many is None]  # noqa: SLF001 - its own
        if len(others) - len(counted) >= self._limits.max_connections:
            self.transport.abort()
        if len(counted) >= self._limits.max_connections:
            message = "The server has as many connections as it takes: try again."
            return RefusedError(503, "too-many-connections", message, retry_after_s=2)
        own = self._network()
        if sum(other._network() == own for other in counted) >= (  # noqa: SLF001 - its own
            self._limits.max_connections_per_address
        ):
            message = "This address has as many connections as it may: close some."
            return RefusedError(429, "too-many-connections", message, retry_after_s=2)
        return None

    def _network(self) -> str:
        return network_of(self.client[0]) if self.client else ""

    def _watch(self) -> None:
        """Time a head that has begun, and what is left of a body after its answer."""
        is_head = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        is_rest = self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE
        if not (is_head or is_rest):
            if self._late is not None:
                self._late.cancel()
                self._late = None
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self._limits.header_timeout_s, self._end_late)

    def _end_late(self) -> None:
        self._late = None
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(RefusedError(408, "too-slow", "The request's head came too slowly."))
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, refused: RefusedError) -> None:
        """Answer past h11, which cannot once a request is broken, and hang up."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            headers, body = answer_of(refused, "")
            rows = {**SECURITY_HEADERS, **headers, "Connection": "close"}
            reason = _REASONS.get(refused.status, "Service Unavailable")
            head = [f"HTTP/1.1 {refused.status} {reason}", *map(": ".join, rows.items())]
            self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        if cycle is not None:  # what the application still sends goes nowhere
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _look_for_stall(self, before: int) -> None:
        """Drop a client that has read nothing of what waits for it since the last look."""
        waiting = self.transport.get_write_buffer_size()
        if waiting >= before > 0 and not self._was_read:
            self.transport.abort()
            return
        self._was_read = False
        self._stalled = self.loop.call_later(
            self._limits.body_timeout_s, self._look_for_stall, waiting
        )
