"""The case routes behind a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from slow_desk import JsonDecoder, SlowModel, running, until
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from tinymed.serve.guard.failures import Failures
from tinymed.serve.routes.cases import case_routes
from tinymed.serve.service import Service
from tinymed.serve.settings import ServeSettings


class SignedIn:
    """Takes a user's word for who he is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            user = dict(scope["headers"]).get(b"x-user", b"ada").decode()
            scope.setdefault("state", {})["user"] = user
        await self._app(scope, receive, send)


@asynccontextmanager
async def served(
    folder: Path,
    model: SlowModel | None = None,
    *,
    settings: ServeSettings | None = None,
    decoder: Any = None,
) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    """A client of a server on loopback, and the service behind it."""
    async with running(
        folder, model, settings=settings, decoder=decoder or JsonDecoder()
    ) as service:
        app = Starlette(
            routes=case_routes(service), middleware=[Middleware(Failures), Middleware(SignedIn)]
        )
        config = uvicorn.Config(app, log_config=None, log_level="error", ws="none")
        config.load()
        state = ServerState()
        # Without uvicorn's own loop, which looks only ten times a second whether it is to end.
        connection = partial(
            config.http_protocol_class, config=config, server_state=state, app_state={}
        )
        loop = asyncio.get_running_loop()
        server = await loop.create_server(connection, "127.0.0.1", 0)
        try:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            # Certificates are read for no connection here, and that takes a while.
            async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
                yield client, service
        finally:
            server.close()
            for one in list(state.connections):
                one.shutdown()
            await until(lambda: not (state.connections or state.tasks))


def events_of(text: str) -> list[tuple[str, Any]]:
    """What a stream of server-sent events says."""
    events = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            events.append((lines["event"], json.loads(lines["data"])))
    return events
