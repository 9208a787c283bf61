"""A running server for those tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.serve.shell.stand_in import Running, serving

from tinymed.serve.settings import Limits, ServeSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"num_bytes": len(body), "user": request.state.user})


async def fail(request: Request) -> Response:
    raise KeyError("Jane Doe, born 1970")


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        yield "event: text\n\n"
        if "fail" in request.query_params:
            raise KeyError("Jane Doe, born 1970")

    return StreamingResponse(pieces(), media_type="text/event-stream")


ECHO = [
    Route("/api/cases", echo, methods=["POST"]),
    Route("/api/echo", echo, methods=["GET", "POST", "DELETE"]),
    Route("/v1/chat/completions", echo, methods=["POST"]),
    Route("/api/chat", echo, methods=["POST"]),
    Route("/files/{path:path}", echo),
    Route("/api/fail", fail),
    Route("/api/stream", stream),
]

LIMITS = Limits(max_upload_bytes=30_000, max_request_bytes=1_000)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server that takes uploads of 30,000 bytes and other bodies of 1,000."""
    settings = ServeSettings(limits=LIMITS, audit=Path("none"), allowed_hosts=("Clinic-PC",))
    with serving(settings, routes=ECHO) as server:
        yield server
