"""How large a request's body may be, alone and beside others, and how slowly it may come."""

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
_ROOM_RETRY_S = 5


class Bodies:
    """Refuses a body by its announced length, by what has come of it and of others, by its pace."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        """Stand before an application."""
        self._app = app
        self._limits = limits
        self._held = _Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; until it ends, whoever answers it may keep its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cap = body_cap(scope["path"], self._limits)
        if int(Headers(scope=scope).get("content-length", "0")) > cap:
            raise _too_long(cap)
        body = _Body(receive, cap=cap, limits=self._limits, held=self._held)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.let_go()


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


class _Held:
    """What the large bodies have together whose requests have not ended."""

    def __init__(self) -> None:
        self.num_bytes = 0


class _Body:
    """Counts what comes, and waits no longer than it may."""

    def __init__(self, receive: Receive, *, cap: int, limits: Limits, held: _Held) -> None:
        self._receive = receive
        self._cap = cap
        self._limits = limits
        self._held = held
        self._num_bytes = 0
        self._num_bytes_held = 0
        """What of it counts among the large bodies: nothing as long as it is a small one."""
        self._pace = _Pace(limits)
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:  # what comes now is that the client leaves, at any time
            return await self._receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                message = await self._receive()
        except TimeoutError as error:
            raise _too_slow() from error
        num_new = len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        self._count(num_new)
        # Only the time in which we waited counts: the client answers for no pause of ours.
        is_late = self._pace.is_too_slow(num_new, time.monotonic() - began)
        if is_late and not self._is_whole:
            raise _too_slow()
        return message

    def let_go(self) -> None:
        """Count it no longer: its request has ended."""
        self._held.num_bytes -= self._num_bytes_held
        self._num_bytes_held = 0

    def _count(self, num_new: int) -> None:
        self._num_bytes += num_new
        if self._num_bytes > self._cap:
            raise _too_long(self._cap)
        # There are only so many connections: the small ones find room beside the large ones.
        if self._num_bytes <= self._limits.max_request_bytes:
            return
        self._held.num_bytes += self._num_bytes - self._num_bytes_held
        self._num_bytes_held = self._num_bytes
        # Whatever may be sent at all finds room when nobody else sends.
        if self._held.num_bytes > max(self._limits.max_bodies_bytes, self._cap):
            raise _no_room()


class _Pace:
    """How fast a body came, in stretches as long as it may take at any pace."""

    def __init__(self, limits: Limits) -> None:
        self._stretch_s = limits.body_timeout_s
        self._least = limits.min_body_bytes_per_s
        self._num_bytes = 0
        self._waited_s = 0.0

    def is_too_slow(self, num_new: int, waited_s: float) -> bool:
        """Whether the stretch that ends with these bytes, if one does, had too few.

        What came fast at first buys no slow end: it would hold its room for hours.
        """
        self._num_bytes += num_new
        self._waited_s += waited_s
        if self._waited_s <= self._stretch_s:
            return False
        is_slow = self._num_bytes < self._waited_s * self._least
        self._num_bytes, self._waited_s = 0, 0.0
        return is_slow


def _too_long(cap: int) -> RefusedError:
    return RefusedError(
        413, "too-large", f"The request is larger than the {cap:,} bytes allowed here."
    )


def _too_slow() -> RefusedError:
    return RefusedError(408, "too-slow", "The request's body came too slowly: send it again.")


def _no_room() -> RefusedError:
    return RefusedError(
        503,
        "busy",
        "Too many large images are being sent at once: try again in a moment.",
        retry_after_s=_ROOM_RETRY_S,
    )
