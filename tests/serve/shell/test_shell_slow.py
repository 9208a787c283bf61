"""Clients that are slow, silent or many."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.serve.shell.conftest import ECHO
from tests.serve.shell.stand_in import QUICK, Reply, Running, is_closed, read_reply, serving

from tinymed.serve.guard.pieces import PIECE_BYTES
from tinymed.serve.settings import Limits, ServeSettings

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /api/cases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


async def large(request: Request) -> Response:
    return Response(bytes(20_000_000))


def settings(limits: Limits) -> ServeSettings:
    return ServeSettings(limits=limits, audit=Path("none"))


@pytest.fixture(scope="module")
def quick() -> Iterator[Running]:
    """A server that waits 0.4 s for a head, and 0.4 s for a piece of a body."""
    with serving(settings(QUICK), routes=[*ECHO, Route("/api/large", large)]) as server:
        yield server


PATIENT = replace(QUICK, body_timeout_s=1.2)
"""Where a test has to act meanwhile: a busy machine stands still for a moment."""


@pytest.fixture(scope="module")
def patient() -> Iterator[Running]:
    """A server that waits 1.2 s for whoever reads its answer."""
    with serving(settings(PATIENT), routes=[Route("/api/large", large)]) as server:
        yield server


def timed(running: Running, *pieces: bytes, pause_s: float = 0.0) -> tuple[Reply, float]:
    """Send pieces with pauses; the answer and after how long it came."""
    began = time.monotonic()
    with running.connect() as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except ConnectionError:
                break
            time.sleep(pause_s)
        return read_reply(connection), time.monotonic() - began


def most_waiting(running: Running) -> int:
    """How many bytes wait at the connection at which the most do."""
    connections = list(running.server.server_state.connections)
    return max((one.transport.get_write_buffer_size() for one in connections), default=0)


def test_a_connection_that_says_nothing_is_ended(quick: Running) -> None:
    with quick.connect() as connection:
        assert is_closed(connection, within_s=5)


@pytest.mark.parametrize("start", [b"G", b"GET /health HTTP/1.1", b"GET / HTTP/1.1\r\nHost: local"])
def test_half_a_head_is_told_that_it_took_too_long(quick: Running, start: bytes) -> None:
    reply, took_s = timed(quick, start)
    assert reply.status == 408
    assert reply.headers["content-security-policy"]
    assert 0.3 < took_s < 5


def test_a_head_that_comes_letter_by_letter_is_ended_all_the_same(quick: Running) -> None:
    reply, took_s = timed(quick, *[b"%c" % letter for letter in GET * 3], pause_s=0.03)
    assert reply.status == 408
    assert took_s < 5


def test_the_second_head_of_a_connection_is_timed_too(quick: Running) -> None:
    with quick.connect() as connection:
        connection.sendall(GET)
        assert read_reply(connection).status == 200
        connection.sendall(GET[:10])
        assert read_reply(connection).status == 408


def test_a_second_head_that_came_with_the_first_is_timed_too(quick: Running) -> None:
    with quick.connect() as connection:
        connection.sendall(GET + GET[:10])
        connection.settimeout(5)
        data = b""
        while more := connection.recv(65536):
            data += more
    assert data.count(b"HTTP/1.1 200") == 1
    assert data.count(b"HTTP/1.1 408") == 1


def test_a_body_that_does_not_come_is_told_so(quick: Running) -> None:
    reply, took_s = timed(quick, POST)
    assert reply.status == 408
    assert reply.json()["error"]["code"] == "too-slow"
    assert reply.headers["connection"] == "close"
    assert took_s < 5


def test_a_body_that_stops_half_way_is_told_so(quick: Running) -> None:
    assert timed(quick, POST, b"a" * 500)[0].status == 408


def test_a_body_that_drips_is_ended_though_it_never_stops(quick: Running) -> None:
    with quick.connect() as connection:
        connection.sendall(POST)
        num_sent = 0
        while num_sent < 60 and not select.select([connection], [], [], 0.1)[0]:
            connection.sendall(b"a")  # ten bytes a second, where 10,000 are wanted
            num_sent += 1
        assert num_sent < 60
        assert read_reply(connection).status == 408


def test_what_follows_a_refused_body_is_not_read_for_ever(quick: Running) -> None:
    """An answer came before the body was whole; the client goes on sending it, slowly."""
    with quick.connect() as connection:
        connection.sendall(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n"
        )
        assert read_reply(connection).status == 200
        began = time.monotonic()
        while time.monotonic() - began < 5:
            try:
                connection.sendall(b"a")
            except ConnectionError:
                break
            time.sleep(0.05)
        else:
            pytest.fail("still listened to")


def test_an_answer_that_nobody_reads_is_dropped(patient: Running) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", patient.port))
    with connection:
        connection.sendall(GET.replace(b"/health", b"/api/large"))
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert patient.server.server_state.connections
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline and patient.server.server_state.connections:
            time.sleep(0.05)
        assert not patient.server.server_state.connections


def test_of_an_answer_that_nobody_reads_little_waits_in_memory(patient: Running) -> None:
    """Thirty clients that read nothing of a frame of 66 MB took 1.9 GB."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", patient.port))
    with connection:
        connection.sendall(GET.replace(b"/health", b"/api/large"))
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        deadline = time.monotonic() + 8
        while (waiting := most_waiting(patient)) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert waiting < 2 * PIECE_BYTES


def test_an_answer_that_is_read_slowly_is_not_dropped(patient: Running) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", patient.port))
    began, num_bytes = time.monotonic(), 0
    with connection:
        connection.sendall(
            GET.replace(b"/health", b"/api/large").replace(
                b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
            )
        )
        while more := connection.recv(400_000):
            num_bytes += len(more)
            time.sleep(0.01)
    assert num_bytes > 20_000_000
    assert time.monotonic() - began > PATIENT.body_timeout_s


def test_one_address_has_so_many_connections_and_no_more() -> None:
    limits = replace(QUICK, header_timeout_s=30, max_connections=8, max_connections_per_address=4)
    with serving(settings(limits)) as running:
        silent = [running.connect() for _ in range(4)]
        reply = running.send(GET)
        assert (reply.status, reply.headers["retry-after"]) == (429, "2")
        assert reply.headers["content-security-policy"]
        assert reply.json()["error"]["code"] == "too-many-connections"
        silent[0].close()
        end = time.monotonic() + 10
        while running.send(GET).status != 200:  # until the server sees that one has left
            assert time.monotonic() < end


def test_all_together_have_so_many_connections_and_no_more() -> None:
    limits = replace(QUICK, header_timeout_s=30, max_connections=4)
    with serving(settings(limits)) as running:
        for _ in range(4):
            running.connect()
        reply = running.send(GET)
        assert (reply.status, reply.headers["retry-after"]) == (503, "2")


def test_connections_too_many_that_stay_silent_are_cut_off() -> None:
    limits = replace(QUICK, header_timeout_s=30, max_connections=4)
    with serving(settings(limits)) as running:
        for _ in range(4):
            running.connect()
        more = [running.connect() for _ in range(12)]
        assert all(is_closed(connection, within_s=4) for connection in more)
        assert len(running.server.server_state.connections) == 4


def test_a_client_that_leaves_half_way_is_no_defect(
    quick: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with quick.connect() as connection:
        connection.sendall(POST + b"a" * 10)
        time.sleep(0.1)
    time.sleep(0.2)
    assert "defect" not in caplog.text
    assert quick.send(GET).status == 200
