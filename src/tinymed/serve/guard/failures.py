"""What a client gets when a request fails: a refusal's sentence, or a number found in the log."""

from __future__ import annotations

import asyncio
import logging
import secrets

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinymed.errors import TinymedError
from tinymed.serve.defects import where
from tinymed.serve.guard.refused import RefusedError, answer_of
from tinymed.serve.refusals import refusal

_LOG = logging.getLogger("tinymed.serve")
_LINGER_S = 2.0
"""How long a client that is still sending is listened to, so that it comes to read why not."""


class Failures:
    """Turns whatever a request raises into an answer; nothing passes it."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            # Only the server's end cancels a request; its task ends with this line.
            ending = RefusedError(503, "draining", "The server is being stopped.", retry_after_s=10)
            await exchange.refuse(ending, scope["path"])
        except ClientDisconnect:
            _LOG.info("a client left before its request was whole")
        # A border: whatever it is, a client must not read a traceback.
        except Exception as error:  # noqa: BLE001
            await exchange.refuse(_refused(error), scope["path"])


def _refused(error: Exception) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    if not isinstance(error, TinymedError):
        number = secrets.token_hex(4)
        _LOG.error("defect %s: %s", number, where(error))
        message = f"A defect of tinymed kept this from being answered: its log has it as {number}."
        return RefusedError(500, "defect", message)
    told = refusal(error)
    return RefusedError(told.status, told.code, told.message, retry_after_s=told.retry_after_s)


class _Exchange:
    """One request and its answer, and how far each of them is."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._send = send
        self._is_heard = headers.get("content-length", "0") == "0" and (
            "transfer-encoding" not in headers
        )
        self._has_begun = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._is_heard = True
        return message

    async def send(self, message: Message) -> None:
        self._has_begun = True
        await self._send(message)

    async def refuse(self, refused: RefusedError, path: str) -> None:
        """Answer; where an answer has begun, leave it unfinished: the server then hangs up."""
        if self._has_begun:
            return
        headers, body = answer_of(refused, path)
        if not self._is_heard:
            headers["Connection"] = "close"
        rows = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": rows})
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        if not self._is_heard:
            await self._linger()
        await self.send({"type": "http.response.body", "body": b""})

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(_LINGER_S):
                while not self._is_heard:
                    await self.receive()
        except (TimeoutError, asyncio.CancelledError):  # the latter where the server ends
            pass
