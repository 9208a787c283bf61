"""A web server on loopback that speaks as a model hub does, and can break connections."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked, and how much was given."""

    path: str
    range: str | None
    authorization: str | None


@dataclass(kw_only=True)
class Served:
    """What lies at each path, and how it is given."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    """Asked for everywhere but at paths under /cdn/."""
    cut_after: int | None = None
    """Bytes after which each connection is cut, but for paths in `uncut`."""
    uncut: set[str] = field(default_factory=set)
    content_types: dict[str, str] = field(default_factory=dict)
    stall_after: int | None = None
    """Bytes of a file after which nothing comes until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    status: dict[str, int] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    num_sent: dict[str, int] = field(default_factory=dict)
    """Bytes of content by path, over all requests."""

    def add_model(
        self, repository: str, files: dict[str, bytes], *, large: tuple[str, ...] = ()
    ) -> None:
        """Publish a model; `large` files lie in the large-file store, at another address."""
        siblings = []
        for name, content in files.items():
            blob = hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()
            row = {"rfilename": name, "size": len(content), "blobId": blob}
            place = f"/{repository}/resolve/{COMMIT}/{name}"
            if name in large:
                digest = hashlib.sha256(content).hexdigest()
                row["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
                self.redirects[place] = f"/cdn/{digest}"
                place = f"/cdn/{digest}"
            self.files[place] = content
            siblings.append(row)
        page = json.dumps({"sha": COMMIT, "siblings": siblings}).encode()
        self.files[f"/api/models/{repository}/revision/main?blobs=true"] = page

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [request.path for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        served, path = self.served, self.path
        authorization = self.headers["Authorization"]
        served.requests.append(
            Request(path=path, range=self.headers["Range"], authorization=authorization)
        )
        is_open = served.token is None or path.startswith("/cdn/")
        if not is_open and authorization != f"Bearer {served.token}":
            self.send_error(401)
        elif path in served.status:
            self.send_error(served.status[path])
        elif path in served.redirects:
            self.send_response(302)
            self.send_header("Location", served.redirects[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path in served.files:
            self._send(path, served.files[path])
        else:
            self.send_error(404)

    def _send(self, path: str, whole: bytes) -> None:
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start >= len(whole) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(whole) - start))
        if path in self.served.content_types:
            self.send_header("Content-Type", self.served.content_types[path])
        self.end_headers()
        rest = whole[start:][: None if path in self.served.uncut else self.served.cut_after]
        for position in range(0, len(rest), 4096):
            stall = self.served.stall_after
            if stall is not None and start + position >= stall:
                self.served.go_on.wait(timeout=120)
            chunk = rest[position : position + 4096]
            try:
                self.wfile.write(chunk)
            except OSError:  # the client was killed
                return
            self.served.num_sent[path] = self.served.num_sent.get(path, 0) + len(chunk)


@contextmanager
def serving() -> Iterator[Served]:
    """A server for as long as the block lasts."""
    served = Served()
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served
    finally:
        served.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
