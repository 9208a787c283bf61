"""A judge that answers over HTTP on loopback, and misbehaves when told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


def completion(text: str | None, **changes: Any) -> Body:
    """A chat completion as such servers send it."""
    return {
        "object": "chat.completion",
        "model": "stub-judge-7",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        **changes,
    }


@dataclass(kw_only=True)
class Failure:
    """How one request fails."""

    status: int = 500
    body: bytes = b'{"error": {"message": "out of order"}}'
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Close the connection in the middle of the reply."""


@dataclass(kw_only=True)
class JudgeServer:
    """What the server answers, and what it was asked."""

    url: str
    failures: list[Failure] = field(default_factory=list)
    """Used up first, one a request."""
    answer: Callable[[str], str | Body | Failure] = lambda _: "8 6\nThe first is better."
    """From the user's message to a reply."""
    delay_s: float = 0.0
    requests: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived_s: list[float] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def messages(self) -> list[str]:
        """The user's message of each request."""
        return [request["messages"][-1]["content"] for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    judge: JudgeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        judge = self.judge
        with judge._lock:
            judge.requests.append(content)
            judge.headers.append({name.lower(): text for name, text in self.headers.items()})
            judge.arrived_s.append(time.monotonic())
            judge._now += 1
            judge.most_at_once = max(judge.most_at_once, judge._now)
            failure = judge.failures.pop(0) if judge.failures else None
        time.sleep(judge.delay_s)
        reply = failure or judge.answer(content["messages"][-1]["content"])
        with judge._lock:
            judge._now -= 1
        if not self.path.endswith("/v1/chat/completions"):
            reply = Failure(status=404)
        if isinstance(reply, str):
            reply = completion(reply)
        if isinstance(reply, Failure):
            self._send(reply.status, reply.body, reply.headers, cut=reply.cut)
        else:
            self._send(200, json.dumps(reply).encode(), {}, cut=False)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        except OSError:  # the client was killed
            self.close_connection = True
        if cut:
            self.close_connection = True


@contextmanager
def serving() -> Iterator[JudgeServer]:
    """Serve until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    served = JudgeServer(url=f"http://127.0.0.1:{server.server_port}/v1")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"judge": served})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
