"""Request heads that no honest client sends."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tinymed.serve.guard.refused import RefusedError

MAX_TARGET_BYTES = 2048
MAX_HEADERS = 100
MAX_HEAD_BYTES = 16_384
"""The line and the headers together; a longer one is not read to its end."""

_STRANGE_ESCAPE = re.compile(rb"%(?![3-7][0-9a-f])|%(?:3[bf]|5c|7f)", re.IGNORECASE)
_STRANGE_SEGMENT = re.compile(r"/\.{1,2}(/|$)|//|[\\;\x00-\x1f\x7f]|\.\.")


class Heads:
    """Refuses heads that are too long, contradict themselves or spell a path oddly."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            _check_size(scope)
            _check_path(scope)
            _check_body(Headers(scope=scope))
        await self._app(scope, receive, send)


def _check_size(scope: Scope) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) >= MAX_TARGET_BYTES:
        raise RefusedError(
            414, "target-too-long", f"The address is longer than {MAX_TARGET_BYTES} bytes."
        )
    num_bytes = sum(len(name) + len(value) for name, value in scope["headers"])
    if len(scope["headers"]) > MAX_HEADERS or num_bytes > MAX_HEAD_BYTES:
        raise RefusedError(
            431,
            "headers-too-large",
            f"The request has more than {MAX_HEADERS} headers or {MAX_HEAD_BYTES} bytes of them.",
        )


def _check_path(scope: Scope) -> None:
    """No path of ours needs a dot segment, a backslash, or an escape of a plain character."""
    path, raw_path = scope["path"], scope["raw_path"]
    is_plain = (
        path.startswith("/")
        and not _STRANGE_SEGMENT.search(path)
        and not _STRANGE_ESCAPE.search(raw_path)
    )
    if not is_plain:
        raise RefusedError(404, "not-found", "There is nothing at this address.")


def _check_body(headers: Headers) -> None:
    if "content-length" in headers and "transfer-encoding" in headers:
        raise RefusedError(
            400,
            "two-lengths",
            "The request gives its length twice, by Content-Length and by Transfer-Encoding.",
        )
    if headers.get("content-type", "").strip().lower().startswith("multipart/"):
        raise RefusedError(
            415,
            "multipart",
            "Send the file's bytes as they are, as the request's body, not as a form.",
        )
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RefusedError(
            415, "content-encoding", "Send the body as it is, without a Content-Encoding."
        )
