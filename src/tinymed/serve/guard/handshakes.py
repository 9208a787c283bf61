"""Connections until they speak TLS: counted, as each takes memory before it has said anything."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from tinymed.serve.access.tries import network_of
from tinymed.serve.settings import Limits


class Handshakes:
    """Those under way at one server, as many as there may be connections."""

    def __init__(
        self, tls: ssl.SSLContext, *, limits: Limits, then: Callable[[], asyncio.Protocol]
    ) -> None:
        """None under way.

        Args:
            tls: The server's certificate.
            limits: How many there may be, and for how long.
            then: Makes what a connection is handed to that speaks TLS.
        """
        self.tls = tls
        self.limits = limits
        self.then = then
        self._under_way: set[Handshake] = set()

    def begin(self, handshake: Handshake) -> bool:
        """Count a handshake, unless it is one too many."""
        same = sum(other.network == handshake.network for other in self._under_way)
        if (
            len(self._under_way) >= self.limits.max_connections
            or same >= self.limits.max_connections_per_address
        ):
            return False
        self._under_way.add(handshake)
        return True

    def end(self, handshake: Handshake) -> None:
        """Count it no longer."""
        self._under_way.discard(handshake)


class Handshake(asyncio.Protocol):
    """One connection until it speaks TLS."""

    def __init__(self, all_: Handshakes) -> None:
        """A connection that is about to be made."""
        self.network = ""
        self._all = all_
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        """What came with the handshake's end."""
        self._is_lost = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Shake hands, or hang up: nobody could read a refusal yet."""
        peer = transport.get_extra_info("peername")
        self.network = network_of(str(peer[0])) if peer else ""
        if not self._all.begin(self):
            transport.abort()
            return
        transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._shake(transport))

    def data_received(self, data: bytes) -> None:
        """Keep what comes before it is handed on."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Note that there is nothing to hand on."""
        self._is_lost = True

    async def _shake(self, transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._all.tls,
                server_side=True,
                ssl_handshake_timeout=self._all.limits.header_timeout_s,
                ssl_shutdown_timeout=self._all.limits.body_timeout_s,
            )
        except OSError:  # no TLS, no more patience, or no client any more
            return
        finally:
            self._all.end(self)
        if secured is None or self._is_lost:
            return
        connection = self._all.then()
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early and not secured.is_closing():
            connection.data_received(b"".join(self._early))
