"""Publishers of data sets on loopback, which can misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

REVISION = "1685832883334b5bb5beaf4e4b333fdeecaa4ad9"
REPOSITORY = "flaviagiammarino/path-vqa"


@dataclass(kw_only=True)
class Site:
    """A hub, a project archive and a plain web server in one."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path in the repository; sent from another address, as the hub does."""
    answers: dict[str, Any] = field(default_factory=dict)
    """JSON by path, for whatever else is asked."""
    cut_after: int | None = None
    """Bytes after which each connection is cut."""
    go_on: threading.Event = field(default_factory=threading.Event)
    """While unset, a file's second half is not sent."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request for a file's content."""

    def listing(self) -> list[dict[str, Any]]:
        """What the hub says of each file of a repository."""
        return [
            {
                "rfilename": path,
                "blobId": "a git hash",
                "size": len(content),
                "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)},
            }
            for path, content in self.files.items()
        ]


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        resolved = path.removeprefix(f"/datasets/{REPOSITORY}/resolve/{REVISION}/")
        if self.path == f"/api/datasets/{REPOSITORY}/revision/{REVISION}?blobs=true":
            self._send_json({"sha": REVISION, "siblings": self.site.listing()})
        elif self.path in self.site.answers:
            self._send_json(self.site.answers[self.path])
        elif resolved in self.site.files:
            self.send_response(302)
            self.send_header("Location", f"{self.site.url}/store/{resolved}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.removeprefix("/store/") in self.site.files:
            self._send_file(path.removeprefix("/store/"))
        else:
            self.send_error(404)

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, path: str) -> None:
        wanted, whole = self.headers["Range"], self.site.files[path]
        self.site.requests.append((path, wanted))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(whole) - start))
        self.end_headers()
        body = whole[start:][: self.site.cut_after]
        for position in range(0, len(body), 4096):
            if position > len(body) // 2:
                self.site.go_on.wait(timeout=120)
            try:
                self.wfile.write(body[position : position + 4096])
            except OSError:  # the client was killed
                return


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that stands in for the Hugging Face hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served = Site(url=f"http://127.0.0.1:{server.server_port}")
    served.go_on.set()
    server.RequestHandlerClass = type("Handler", (_Handler,), {"site": served})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    yield served
    served.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()
