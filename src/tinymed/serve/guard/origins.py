"""Requests that change something come from our own page, or from no page at all."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tinymed.serve.guard.refused import RefusedError

_READING = frozenset({"GET", "HEAD"})


class Origins:
    """Refuses what another site's page makes a browser send."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application, behind `Hosts`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["method"] not in _READING:
            headers = Headers(scope=scope)
            is_own = all(
                _is_own_origin(origin, host=headers.get("host", ""), scheme=scope["scheme"])
                for origin in headers.getlist("origin")
            ) and all(site in {"same-origin", "none"} for site in headers.getlist("sec-fetch-site"))
            if not is_own:
                raise RefusedError(
                    403,
                    "other-origin",
                    "Only this server's own page may send this from a browser.",
                )
        await self._app(scope, receive, send)


def _is_own_origin(origin: str, *, host: str, scheme: str) -> bool:
    """Whether a page's origin is the address that the request was sent to.

    A proxy may speak TLS for us, so an https page of the same host and port may send to http.
    """
    schemes = ("https",) if scheme == "https" else ("http", "https")
    return origin.lower() in {f"{known}://{host.lower()}" for known in schemes}
