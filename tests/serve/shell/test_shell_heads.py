"""What the server does with requests that no honest client sends, off the wire."""

from __future__ import annotations

import logging
import time

import pytest
from tests.serve.shell.stand_in import Running, read_reply

from tinymed.serve.guard.refused import RefusedError, answer_of

CSP = (
    "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("GET", "/api/stream", 200),
        ("GET", "/nothing", 404),
        ("POST", "/health", 405),
        ("GET", "/api/fail", 500),
        ("TRACE", "/", 405),
        ("TRACE", "/nothing", 404),
    ],
)
def test_every_answer_has_the_security_headers_and_none_of_cors(
    running: Running, method: str, target: str, status: int
) -> None:
    reply = running.ask(method, target)
    assert reply.status == status
    assert HEADERS.items() <= reply.headers.items()
    assert not any(name.startswith("access-control") for name in reply.headers)
    assert "server" not in reply.headers
    assert "set-cookie" not in reply.headers


def test_what_is_not_http_gets_the_headers_too(running: Running) -> None:
    reply = running.send(b"\x16\x03\x01 hello\r\n\r\n")
    assert reply.status == 400
    assert HEADERS.items() <= reply.headers.items()
    assert reply.json()["error"]["code"] == "bad-request"


OWN = "127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (OWN, 200),
        ("127.0.0.1", 200),
        ("localhost:9999", 200),  # a tunnel may have another port at its other end
        ("LOCALHOST", 200),
        ("[::1]:8417", 200),
        ("clinic-pc", 200),
        ("clinic-pc.:80", 200),
        ("evil.example", 421),
        ("evil.example:8417", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("evil.example#localhost", 421),
        ("192.168.1.5", 421),
        ("[::2]", 421),
        ("[::1]evil.example", 421),
        ("localhost:80:80", 421),
        ("", 421),
        ("0.0.0.0", 421),
        ("localhost, evil.example", 421),
        ("2130706433", 421),
    ],
)
def test_only_known_hosts_are_answered(running: Running, host: str, status: int) -> None:
    reply = running.ask("GET", "/health", {"Host": host.format(port=running.port)})
    assert reply.status == status


@pytest.mark.parametrize(
    "head", ["GET /health HTTP/1.1\r\n", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n"]
)
def test_no_host_and_two_hosts_are_no_http(running: Running, head: str) -> None:
    assert running.send((head + "\r\n").encode()).status == 400


def test_http_1_0_without_a_host_is_refused(running: Running) -> None:
    assert running.send(b"GET /health HTTP/1.0\r\n\r\n").status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "https://127.0.0.1:{port}"}, 200),  # a proxy that speaks TLS
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:{port}.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "file://"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_sites_page_can_change_nothing(
    running: Running, method: str, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.format(port=running.port) for name, value in headers.items()}
    assert running.ask(method, "/api/echo", sent).status == status


def test_reading_is_not_asked_for_its_origin(running: Running) -> None:
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    reply = running.ask("GET", "/health", headers)
    assert reply.status == 200
    assert not any(name.startswith("access-control") for name in reply.headers)


def test_a_preflight_is_refused(running: Running) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    reply = running.ask("OPTIONS", "/api/echo", headers)
    assert reply.status == 403
    assert not any(name.startswith("access-control") for name in reply.headers)


PATHS = [
    "/page/../index.html",
    "/page/../../serve/settings.py",
    "/page/../../../../../../etc/passwd",
    "/page/..%2f..%2fetc%2fpasswd",
    "/page/..%2F..%2Fetc%2Fpasswd",
    "/page/%2e%2e/index.html",
    "/page/%2e%2e%2findex.html",
    "/page/%2E%2E%2Findex.html",
    "/page/.%2e/index.html",
    "/page/%252e%252e%252findex.html",
    "/page/..%252findex.html",
    "/page/..%c0%afindex.html",
    "/page/%c0%ae%c0%ae/index.html",
    "/page/%e0%80%ae%e0%80%ae/index.html",
    "/page/..\\..\\index.html",
    "/page/..%5c..%5cindex.html",
    "/page/%5c%5cserver%5cshare",
    "/page/....//index.html",
    "/page/....\\\\index.html",
    "/page/./index.html",
    "/page//index.html",
    "//page/index.html",
    "/page/index.html/",
    "/page/index.html/.",
    "/page/index.html/..",
    "/page/index.html%00",
    "/page/index.html%00.js",
    "/page/%00",
    "/page/index.html%0a",
    "/page/index.html;.js",
    "/page/index.html%3b.js",
    "/page/index.html%3f",
    "/page/INDEX.HTML",
    "/page/index",
    "/page/.",
    "/page/..",
    "/page/",
    "/page",
    "/page/__init__.py",
    "/page/C:%5cwindows%5cwin.ini",
    "/page/C:/windows/win.ini",
    "/page/file:///etc/passwd",
    "/page/~root",
    "/page/%7eroot",
    "/page/%u002e%u002e/index.html",
    "/page/%",
    "/page/%zz",
    "/../etc/passwd",
    "/etc/passwd",
    "/health/../page/index.html",
    "/health/",
    "/./health",
    "/%2fhealth",
    "/health%20",
    "/%68ealth%2f",
    "http://127.0.0.1/health",
    "http://evil.example/health",
    "health",
    "*",
    "/page/index.html/../../../settings.py",
]


@pytest.mark.parametrize("target", PATHS)
def test_a_path_spelled_oddly_finds_nothing(running: Running, target: str) -> None:
    reply = running.ask("GET", target)
    assert reply.status == 404
    assert reply.json()["error"]["code"] == "not-found"


ODD_ENDS = [
    *("../x", "a/../x", "a/..", "./x", "a/.", "a//x", "..%2fx", "%2e%2e/x", "%2e%2e%2fx"),
    *("%252e%252e/x", "..\\x", "%5c..%5cx", "x%00", "x%0a", "x%7f", "x;y", "x%3by", "x%3fy"),
    *("%c0%ae%c0%ae/x", "%zz"),
]


@pytest.mark.parametrize("end", ODD_ENDS)
def test_a_route_that_takes_any_path_gets_no_odd_one(running: Running, end: str) -> None:
    assert running.ask("GET", "/files/a/b:c.d").status == 200
    assert running.ask("GET", f"/files/{end}").status == 404


def test_a_plain_letter_may_be_escaped(running: Running) -> None:
    assert running.ask("GET", "/%68ealth").status == 200


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "TRACK", "DEBUG"])
def test_methods_we_do_not_have_are_refused(running: Running, method: str) -> None:
    reply = running.ask(method, "/health", {"X-Secret": "told-nobody"})
    assert reply.status == 405
    assert "allow" in reply.headers
    assert b"told-nobody" not in reply.body


def test_a_route_says_which_methods_it_takes(running: Running) -> None:
    reply = running.ask("DELETE", "/health")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert reply.json()["error"]["message"] == "This address does not take DELETE."


@pytest.mark.parametrize("query", ["", "?"])
def test_an_address_of_nine_thousand_bytes_is_refused(running: Running, query: str) -> None:
    assert running.ask("GET", f"/health{query}" + "a" * 9000).status == 414


def test_a_head_without_end_is_refused(running: Running) -> None:
    start = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "
    assert running.send(start, b"a" * 10_000, b"a" * 40_000).status in (400, 0)
    assert running.ask("GET", "/health", {"X": "a" * 16_400}).status in (400, 431)


def test_two_hundred_headers_are_refused(running: Running) -> None:
    headers = {f"X-{number}": "a" for number in range(200)}
    assert running.ask("GET", "/health", headers).status == 431


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", {400}),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", {400}),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", {400}),
        ("Content-Length: 5, 6\r\n", {400}),
        ("Content-Length: +5\r\n", {400}),
        ("Content-Length: -5\r\n", {400}),
        ("Content-Length: 0x5\r\n", {400}),
        ("Content-Length: 5 5\r\n", {400}),
        ("Content-Length:\r\n", {400}),
        ("Content-Length: 99999999999999999999999999\r\n", {400}),
        ("Content-Length : 5\r\n", {400}),
        ("Transfer-Encoding: gzip, chunked\r\n", {400}),
        ("Transfer-Encoding: chunked, chunked\r\n", {400}),
        ("Transfer-Encoding: xchunked\r\n", {400}),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", {400}),
        ("Transfer-Encoding:\x0bchunked\r\n", {400}),
        ("X: a\r\n folded: yes\r\nContent-Length: 5\r\nContent-Length: 7\r\n", {400}),
        ("X: a\x00b\r\n", {400}),
        ("X: a\rTransfer-Encoding: chunked\r\n", {400}),
    ],
)
def test_a_request_whose_end_can_be_read_in_two_ways_is_refused(
    running: Running, head: str, statuses: set[int]
) -> None:
    start = f"POST /api/echo HTTP/1.1\r\nHost: localhost\r\n{head}\r\n"
    reply = running.send(start.encode("latin-1") + b"0\r\n\r\nGET /health HTTP/1.1\r\n\r\n")
    assert reply.status in statuses
    assert HEADERS.items() <= reply.headers.items()


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-1\r\n", b"0x5\r\nabcde\r\n", b"5\r\nabcdefgh\r\n"])
def test_a_broken_chunk_ends_the_request(running: Running, chunk: bytes) -> None:
    head = b"POST /api/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert running.send(head + chunk + b"0\r\n\r\n").status == 400


def test_requests_in_one_piece_are_answered_one_by_one(running: Running) -> None:
    one = f"GET /health HTTP/1.1\r\nHost: localhost:{running.port}\r\n\r\n".encode()
    connection = running.connect()
    connection.sendall(one * 20)
    connection.shutdown(1)
    data = b""
    while more := connection.recv(65536):
        data += more
    assert data.count(b"HTTP/1.1 200 OK") == 20


@pytest.mark.parametrize(
    ("target", "cap"),
    [
        ("/api/cases", 30_000),
        ("/api/echo", 1_000),
        ("/v1/chat/completions", 41_000),  # 30,000 bytes are 40,000 in base64
        ("/api/chat", 41_000),
    ],
)
def test_a_body_has_its_routes_length_and_no_more(running: Running, target: str, cap: int) -> None:
    assert running.ask("POST", target, body=b"a" * cap).json()["num_bytes"] == cap
    assert running.ask("POST", target, body=b"a" * (cap + 1)).status == 413
    chunked = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"a" * cap
    whole = f"{cap:x}\r\n".encode() + body + b"\r\n"
    assert running.send(chunked.encode() + whole + b"0\r\n\r\n").status == 200
    assert running.send(chunked.encode() + whole + b"1\r\na\r\n0\r\n\r\n").status == 413


def test_a_huge_content_length_is_refused_before_a_byte_of_it(running: Running) -> None:
    head = b"POST /api/cases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000000\r\n\r\n"
    began = time.monotonic()
    reply = running.send(head)
    assert reply.status == 413
    assert "30,000 bytes" in reply.json()["error"]["message"]
    assert reply.headers["connection"] == "close"
    assert time.monotonic() - began < 1.5  # not after the lingering


def test_a_client_that_waits_to_be_told_to_go_on_is_not_told(running: Running) -> None:
    head = "POST /api/cases HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    connection = running.connect()
    connection.sendall(f"{head}Content-Length: 90000\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_client_still_sending_comes_to_read_why_not(running: Running) -> None:
    connection = running.connect()
    head = "POST /api/cases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n"
    connection.sendall(head.encode())
    for _ in range(200):
        connection.sendall(b"a" * 100_000)
    assert read_reply(connection).status == 413


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "Multipart/Mixed", " multipart/x"]
)
def test_a_form_is_refused(running: Running, kind: str) -> None:
    reply = running.ask("POST", "/api/cases", {"Content-Type": kind}, body=b"--x\r\n" * 100)
    assert (reply.status, reply.json()["error"]["code"]) == (415, "multipart")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_body_that_would_inflate_is_refused(running: Running, coding: str) -> None:
    reply = running.ask("POST", "/api/cases", {"Content-Encoding": coding}, body=b"x")
    assert reply.status == 415


def test_any_other_content_type_is_taken(running: Running) -> None:
    for kind in ("application/dicom", "image/png", "text/plain; charset=x", "nonsense"):
        assert running.ask("POST", "/api/cases", {"Content-Type": kind}, body=b"x").status == 200


def test_a_defect_is_a_number_to_the_client_and_a_place_in_the_log(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        reply = running.ask("GET", "/api/fail?name=Jane")
    assert reply.status == 500
    number = reply.json()["error"]["message"].rpartition(" ")[2].rstrip(".")
    assert f"defect {number}: KeyError at conftest.py" in caplog.text
    assert "Jane" not in caplog.text + reply.body.decode()
    assert "Traceback" not in reply.body.decode()


def test_a_stream_that_fails_is_cut_off_and_its_error_told_to_nobody(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        reply = running.ask("GET", "/api/stream?fail=Jane")
    assert reply.status == 200
    assert not reply.body.endswith(b"0\r\n\r\n")
    assert "defect" in caplog.text
    assert "Jane" not in caplog.text


def test_nothing_of_a_plain_request_is_logged(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        running.ask("GET", "/health?patient=Jane")
        running.ask("GET", "/nothing-of-Jane")
        running.send(b"Jane\r\n\r\n")
    assert "Jane" not in caplog.text


def test_programs_are_told_in_their_own_shape(running: Running) -> None:
    too_long = b"a" * 50_000
    openai = running.ask("POST", "/v1/chat/completions", body=too_long).json()["error"]
    assert (openai["type"], openai["code"]) == ("invalid_request_error", "too-large")
    ollama = running.ask("POST", "/api/chat", body=too_long).json()["error"]
    assert ollama.startswith("The request is larger than")
    elsewhere = running.ask("POST", "/api/generate", body=b"{}").json()["error"]
    assert elsewhere == "There is nothing at this address."
    assert running.ask("POST", "/api/echo", body=too_long).json()["error"]["code"] == "too-large"


def test_a_wait_is_told_in_whole_seconds() -> None:
    headers, _ = answer_of(RefusedError(503, "x", "y", retry_after_s=0.2), "/")
    assert headers["Retry-After"] == "1"


def test_requests_are_counted_by_pattern_and_not_by_path(running: Running) -> None:
    running.ask("GET", "/page/of-jane")
    text = running.ask("GET", "/metrics").body.decode()
    assert 'tinymed_requests_total{route="/page/{name}",status="404"}' in text
    assert "jane" not in text


def test_a_file_of_the_page_is_sent_once(running: Running) -> None:
    first = running.ask("GET", "/")
    again = running.ask("GET", "/", {"If-None-Match": first.headers["etag"]})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert HEADERS.items() <= again.headers.items()
