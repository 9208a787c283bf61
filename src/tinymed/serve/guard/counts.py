"""Counts what was answered, by route."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinymed.serve.metrics import Metrics

_NO_ROUTE = "none"


class Counts:
    """Tells the metrics of every answer: the route's pattern, never the path, and the status."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        """Stand before an application."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                pattern = getattr(scope.get("route"), "path", _NO_ROUTE)
                self._metrics.count_request(pattern, message["status"])
            await send(message)

        await self._app(scope, receive, send_counted)
