"""The server from its first line to its last: listen, load, answer, drain."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tinymed.errors import ModelError
from tinymed.serve.access.access import access_of
from tinymed.serve.app import build_app
from tinymed.serve.audit.location import audit_path
from tinymed.serve.guard.addresses import check_address, listen, url_of
from tinymed.serve.guard.server import Server
from tinymed.serve.guard.tls import tls_context
from tinymed.serve.make_service import make_service
from tinymed.serve.service import Service
from tinymed.serve.settings import ServeSettings

_LOOK_S = 0.05
_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What a person is told of a server that listens."""

    url: str
    audit: Path
    warnings: tuple[str, ...]
    """What --insecure-lan leaves open; shown at each start."""


class Tells(Protocol):
    """Whoever tells a person how the start goes."""

    def listening(self, server: Listening) -> None:
        """Tell that the address answers, while the model is being loaded."""

    def loading(self, seconds: float) -> None:
        """Tell that the model is still being loaded; called every ten seconds."""

    def ready(self, seconds: float) -> None:
        """Tell that the model is loaded, after so long."""


def run(
    settings: ServeSettings,
    tells: Tells,
    *,
    make: Callable[[ServeSettings], Service] = make_service,
) -> None:
    """Serve until a signal comes, and then let what is under way end.

    Raises:
        ConfigError: If the address, the certificate, the users or the tokens do not fit.
        AuditError: If the audit cannot be written.
        ModelError: If the model cannot be loaded.
    """
    access = access_of(settings)
    warnings = check_address(settings, needs_sign_in=access.needs_sign_in)
    tls = None
    if settings.tls_certificate is not None and settings.tls_key is not None:
        tls = tls_context(settings.tls_certificate, settings.tls_key)
    sockets = listen(settings.host, settings.port)
    try:
        service = make(settings)
        app = build_app(service, settings, access)
        server = Server(app, service=service, limits=settings.limits, tls=tls)
        tells.listening(
            Listening(
                url=url_of(settings, sockets[0]),
                audit=settings.audit or audit_path(),
                warnings=warnings,
            )
        )
        asyncio.run(_serve(server, service, sockets, tells))
    finally:
        for listening in sockets:
            listening.close()


async def _serve(
    server: Server, service: Service, sockets: Sequence[socket.socket], tells: Tells
) -> None:
    await service.start()
    start = asyncio.create_task(_tell_start(server, service, tells))
    try:
        await server.serve(list(sockets))
    finally:
        start.cancel()
        await service.close()
    if start.done() and not start.cancelled() and (problem := start.result()):
        raise ModelError(problem)


async def _tell_start(server: Server, service: Service, tells: Tells) -> str:
    """Follow the model's loading; where it fails, end the server.

    Returns:
        Why it failed, or "".
    """
    began = last = time.monotonic()
    while service.state == "loading":
        await asyncio.sleep(_LOOK_S)
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            tells.loading(now - began)
    if service.state == "failed":
        server.should_exit = True
        return service.problem or "The model cannot be loaded."
    if service.state == "ready":
        tells.ready(time.monotonic() - began)
    return ""
