"""What all bodies may hold together, and how fast they must come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.serve.shell.stand_in import Running, read_reply, serving

from tinymed.serve.guard import bodies
from tinymed.serve.guard.bodies import Bodies
from tinymed.serve.guard.refused import RefusedError
from tinymed.serve.settings import Limits, ServeSettings

LIMITS = Limits(max_upload_bytes=30_000, max_request_bytes=1_000, max_bodies_bytes=45_000)
ROUTES = ("/api/cases", "/v1/chat/completions", "/api/chat")


class Held:
    """What a route has read, and until when it does not answer."""

    def __init__(self) -> None:
        self.num_read = 0
        self.num_ended = 0
        self.may_answer = True

    async def route(self, request: Request) -> Response:
        num_bytes = 0
        try:
            async for piece in request.stream():
                num_bytes += len(piece)
                self.num_read += len(piece)
            while not self.may_answer:  # noqa: ASYNC110 - a test's, told by another thread
                await asyncio.sleep(0.002)
            if "fail" in request.query_params:
                raise KeyError
            return JSONResponse({"num_bytes": num_bytes})
        finally:
            self.num_ended += 1

    def until(self, *, num_read: int = 0, num_ended: int = 0) -> None:
        end = time.monotonic() + 20
        while self.num_read < num_read or self.num_ended < num_ended:
            assert time.monotonic() < end
            time.sleep(0.002)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def running(held: Held) -> Iterator[Running]:
    """A server that takes 45,000 bytes of large bodies together, and 1,000 of small ones."""
    settings = ServeSettings(limits=LIMITS, audit=Path("none"))
    routes = [Route(path, held.route, methods=["POST"]) for path in ROUTES]
    with serving(settings, routes=routes) as server:
        yield server


def head(path: str, num_bytes: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {num_bytes}\r\n\r\n".encode()
    )


@pytest.mark.parametrize("first", ROUTES)
def test_bodies_of_all_routes_have_so_much_room_together(
    running: Running, held: Held, first: str
) -> None:
    """A program's bodies went uncounted: six of them took 3.5 GB of a clinic's computer."""
    with running.connect() as connection:
        connection.sendall(head(first, 30_000) + b"a" * 25_000)
        held.until(num_read=25_000)
        for path in ROUTES:
            reply = running.ask("POST", path, body=b"a" * 30_000)
            assert (reply.status, reply.headers["retry-after"]) == (503, "5")
            error = reply.json()["error"]
            assert "try again" in (error if path == "/api/chat" else error["message"])
            assert path == "/api/chat" or error["code"] == "busy"
            assert running.ask("POST", path, body=b"a" * 1_000).json()["num_bytes"] == 1_000
        connection.sendall(b"a" * 5_000)
        assert read_reply(connection).json()["num_bytes"] == 30_000
    for path in ROUTES:
        assert running.ask("POST", path, body=b"a" * 30_000).json()["num_bytes"] == 30_000


def test_a_body_counts_until_it_is_answered(running: Running, held: Held) -> None:
    held.may_answer = False
    with running.connect() as connection:
        connection.sendall(head(ROUTES[1], 40_000) + b"a" * 40_000)
        held.until(num_read=40_000)
        assert running.ask("POST", ROUTES[0], body=b"a" * 20_000).status == 503
        held.may_answer = True
        assert read_reply(connection).status == 200
    assert running.ask("POST", ROUTES[0], body=b"a" * 20_000).status == 200


def test_whatever_ends_a_request_gives_its_room_back(running: Running, held: Held) -> None:
    held.may_answer = False
    for number, path in enumerate(ROUTES):  # clients that leave while it comes
        with running.connect() as connection:
            connection.sendall(head(path, 30_000) + b"a" * 25_000)
            held.until(num_read=25_000 * (number + 1))
        held.until(num_ended=number + 1)
    held.may_answer = True
    for _ in range(3):
        assert running.ask("POST", f"{ROUTES[1]}?fail", body=b"a" * 40_000).status == 500
        chunked = head(ROUTES[0], 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        piece = b"4e20\r\n" + b"a" * 20_000 + b"\r\n"  # twice that is more than the route takes
        assert running.send(chunked, piece, piece).status == 413
    assert running.ask("POST", ROUTES[1], body=b"a" * 41_000).status == 200


def test_a_body_alone_may_have_what_its_route_takes() -> None:
    """Or else --max-upload-mb 2000 would let nobody send 2,000 MB, ever."""
    limits = Limits(max_upload_bytes=30_000, max_request_bytes=1_000, max_bodies_bytes=1)
    routes = [Route("/api/cases", Held().route, methods=["POST"])]
    with serving(ServeSettings(limits=limits, audit=Path("none")), routes=routes) as running:
        assert running.ask("POST", "/api/cases", body=b"a" * 30_000).status == 200


def received(monkeypatch: pytest.MonkeyPatch, pieces: list[tuple[float, int]]) -> int:
    """How many bytes of a body an application gets that comes in pieces, each so long awaited."""
    now_s, num_read = 0.0, 0
    coming = iter(pieces)

    async def receive() -> dict[str, Any]:
        nonlocal now_s
        wait_s, num_bytes = next(coming)
        now_s += wait_s
        return {"type": "http.request", "body": b"a" * num_bytes, "more_body": True}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal num_read, now_s
        while True:
            num_read += len((await receive())["body"])
            now_s += 1000.0  # ours, which is no fault of the client's

    async def main() -> None:
        guarded = Bodies(application, limits=Limits(body_timeout_s=30, min_body_bytes_per_s=100))
        scope = {"type": "http", "path": "/api/cases", "headers": []}
        await guarded(scope, receive, None)  # type: ignore[arg-type]

    monkeypatch.setattr(bodies.time, "monotonic", lambda: now_s)
    with pytest.raises(RefusedError, match="too slowly"):
        asyncio.run(main())
    return num_read


def test_a_body_may_take_long_that_comes_fast_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert received(monkeypatch, [(10, 1_000)] * 20 + [(10, 10)] * 9) == 20_000 + 30


def test_a_body_may_take_half_a_minute_at_any_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert received(monkeypatch, [(15, 1)] * 9) == 2


def test_what_came_fast_at_first_buys_no_slow_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It held its room for hours: 500 MB sent at once paid for 14 hours of a byte now and then."""
    assert received(monkeypatch, [(0, 1_000_000)] * 9 + [(20, 1)] * 99) < 9_000_005
