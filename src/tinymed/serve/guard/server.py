"""The HTTP server: its connections, its signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from tinymed.serve.guard.connections import GuardedConnection
from tinymed.serve.guard.handshakes import Handshake, Handshakes
from tinymed.serve.guard.heads import MAX_HEAD_BYTES
from tinymed.serve.settings import Limits

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
_HANG_UP_S = 2
"""After the drain, for answers that were cut off to be written out."""


class Drains(Protocol):
    """What the server drains before it ends."""

    async def drain(self) -> None:
        """Refuse new questions, and return when none is under way."""


class Server(uvicorn.Server):
    """Uvicorn, with our connections, a drain before its end, and an exit code of 0 after one."""

    def __init__(
        self, app: ASGIApp, *, service: Drains, limits: Limits, tls: ssl.SSLContext | None = None
    ) -> None:
        """A server that does not listen yet."""
        super().__init__(
            uvicorn.Config(
                app,
                http=GuardedConnection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,  # a log line with an address and a path tells of a patient
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                timeout_graceful_shutdown=_HANG_UP_S,
            )
        )
        self._service = service
        self._limits = limits
        self._handshakes = (
            None if tls is None else Handshakes(tls, limits=limits, then=self._connection)
        )
        self._num_signals = 0
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections at sockets that listen already."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(self._accepted, sock=listening) for listening in sockets or []
        ]
        self.started = True

    def end(self) -> None:
        """Begin to drain; from a signal or another thread."""
        self._num_signals += 1

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: look whether it is time to drain, or to end."""
        if self._num_signals and self._drain is None:
            self._drain = asyncio.create_task(self._drain_and_end())
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain at the first signal, end at once at the second; none is raised again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Python's
        """Count a signal."""
        self.end()
        if self._num_signals > 1:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)

    def _accepted(self) -> asyncio.Protocol:
        return self._connection() if self._handshakes is None else Handshake(self._handshakes)

    def _connection(self) -> GuardedConnection:
        return GuardedConnection(
            config=self.config, state=self.server_state, app_state={}, limits=self._limits
        )

    async def _drain_and_end(self) -> None:
        """Let new questions be refused and running ones end, while connections are accepted."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain_s):
                await self._service.drain()
        self.should_exit = True
