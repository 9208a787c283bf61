"""Large answers in pieces: only what a client is about to read waits for it in memory."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PIECE_BYTES = 256 * 1024


class Pieces:
    """Sends the next piece once the client has read what was sent.

    A frame can have 200 MB, and a client that reads slowly, or not at all, would have them copied
    for itself alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_in_pieces(message: Message) -> None:
            body = memoryview(message.get("body", b""))
            while len(body) > PIECE_BYTES:
                piece = bytes(body[:PIECE_BYTES])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                body = body[PIECE_BYTES:]
                message = {**message, "body": body}
            await send(message)

        await self._app(scope, receive, send_in_pieces)
