"""A server on loopback with a service that has no model, and raw sockets to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from tinymed.serve.access.access import Access
from tinymed.serve.app import build_app
from tinymed.serve.audit.entry import Entry
from tinymed.serve.desk.loaded_model import ModelFacts
from tinymed.serve.guard.addresses import listen
from tinymed.serve.guard.server import Server
from tinymed.serve.metrics import Metrics
from tinymed.serve.readiness import State
from tinymed.serve.settings import Limits, ServeSettings

FACTS = ModelFacts(
    name="nano", scheme="openvino-int8", weights_sha256="ab" * 32, is_calibrated=False, split=None
)
QUICK = Limits(header_timeout_s=0.4, body_timeout_s=0.4, drain_s=5.0)


class StandInService:
    """What the shell asks of a service, and nothing behind it."""

    def __init__(self, settings: ServeSettings, *, state: State = "ready") -> None:
        self.settings = settings
        self.state: State = state
        self.facts: ModelFacts | None = FACTS if state == "ready" else None
        self.metrics = Metrics()
        self.entries: list[Entry] = []
        self.problem = "no such model" if state == "failed" else None
        self.audit_error: Exception | None = None
        self.running = 0
        self.is_closed = False

    async def start(self) -> None:
        pass

    async def drain(self) -> None:
        self.state = "draining"
        while self.running:  # noqa: ASYNC110 - a test's
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        self.is_closed = True

    def about(self) -> dict[str, Any]:
        return {"state": self.state, "model": self.facts.name if self.facts else None}

    async def record(self, entry: Entry) -> None:
        if self.audit_error is not None:
            raise self.audit_error
        self.entries.append(entry)


@dataclass(kw_only=True)
class Running:
    """A server that answers."""

    port: int
    service: StandInService
    server: Server
    tls: ssl.SSLContext | None = None
    sockets: list[socket.socket] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """A raw connection."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        if self.tls is not None:
            made = self.tls.wrap_socket(made, server_hostname="localhost")
        self.sockets.append(made)
        return made

    def send(self, *pieces: bytes) -> Reply:
        """Send bytes as they are, and read one answer."""
        with self.connect() as connection:
            with contextlib.suppress(ConnectionError):  # it may have answered and hung up
                for piece in pieces:
                    connection.sendall(piece)
            return read_reply(connection)

    def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes | dict[str, Any] | None = None,
    ) -> Reply:
        """Send one request, and read its answer."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        rows = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", **(headers or {})}
        if body is not None:
            rows["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {rows[name]}" for name in rows)]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer off the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def read_reply(connection: socket.socket) -> Reply:
    """Read one answer; status 0 where the server hangs up without any."""
    with contextlib.suppress(ConnectionResetError), connection.makefile("rb") as file:
        line = file.readline()
        if line:
            headers = {}
            while (row := file.readline().strip()) != b"":
                name, _, value = row.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            status = int(line.split()[1])
            length = headers.get("content-length", "0" if status in (204, 304) else "-1")
            body = file.read(int(length))
            return Reply(status=status, headers=headers, body=body)
    return Reply(status=0, headers={}, body=b"")


def is_closed(connection: socket.socket, *, within_s: float) -> bool:
    """Whether the server hangs up in time."""
    connection.settimeout(within_s)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def serving(
    settings: ServeSettings | None = None,
    *,
    access: Access | None = None,
    routes: Sequence[BaseRoute] = (),
    state: State = "ready",
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
) -> Iterator[Running]:
    """Run the real server in a thread, on a free port of loopback.

    Args:
        settings: The default has short timeouts.
        access: The default lets anybody in.
        routes: More routes, found before the others.
        state: The service's.
        tls: The server's context and a client's.
    """
    settings = settings or ServeSettings(limits=QUICK, audit=Path("audit.sqlite"))
    settings = replace(settings, port=0)
    service = StandInService(settings, state=state)
    app = build_app(service, settings, access or Access())
    app.router.routes[:0] = routes
    sockets = listen("127.0.0.1", 0)
    server = Server(app, service=service, limits=settings.limits, tls=tls and tls[0])
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets)))
    thread.start()
    port = sockets[0].getsockname()[1]
    running = Running(port=port, service=service, server=server, tls=tls and tls[1])
    while not server.started:
        time.sleep(0.005)
    try:
        yield running
    finally:
        for connection in running.sockets:
            connection.close()
        server.end()
        thread.join(20)
        assert not thread.is_alive()
