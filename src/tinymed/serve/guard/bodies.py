"""How large a request's body may be, and how slowly it may come."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinymed.serve.guard.refused import RefusedError
from tinymed.serve.settings import Limits

_FILES = frozenset({"/api/cases"})
"""Routes whose body is an image file."""
_DATA_URIS = frozenset({"/v1/chat/completions", "/api/chat"})
"""Routes whose body may hold an image file in base64."""


class Bodies:
    """Refuses a body by its announced length, by what has come of it, and by its pace."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        """Stand before an application."""
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            cap = body_cap(scope["path"], self._limits)
            if int(Headers(scope=scope).get("content-length", "0")) > cap:
                raise _too_long(cap)
            receive = _Body(receive, cap=cap, limits=self._limits).receive
        await self._app(scope, receive, send)


def body_cap(path: str, limits: Limits) -> int:
    """The most bytes that a request to this path may carry.

    Example:
        >>> body_cap("/api/sign-in", Limits(max_request_bytes=10))
        10
    """
    if path in _FILES:
        return limits.max_upload_bytes
    if path in _DATA_URIS:
        return -(-limits.max_upload_bytes // 3) * 4 + limits.max_request_bytes
    return limits.max_request_bytes


class _Body:
    """Counts what comes, and waits no longer than it may."""

    def __init__(self, receive: Receive, *, cap: int, limits: Limits) -> None:
        self._receive = receive
        self._cap = cap
        self._timeout_s = limits.body_timeout_s
        self._least_pace = limits.min_body_bytes_per_s
        self._num_bytes = 0
        self._waited_s = 0.0
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:  # what comes now is that the client leaves, at any time
            return await self._receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                message = await self._receive()
        except TimeoutError as error:
            raise _too_slow() from error
        # Only the time in which we waited counts: the client answers for no pause of ours.
        self._waited_s += time.monotonic() - began
        self._num_bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._num_bytes > self._cap:
            raise _too_long(self._cap)
        is_late = self._waited_s > self._timeout_s
        if is_late and not self._is_whole and self._num_bytes < self._waited_s * self._least_pace:
            raise _too_slow()
        return message


def _too_long(cap: int) -> RefusedError:
    return RefusedError(
        413, "too-large", f"The request is larger than the {cap:,} bytes allowed here."
    )


def _too_slow() -> RefusedError:
    return RefusedError(408, "too-slow", "The request's body came too slowly: send it again.")
