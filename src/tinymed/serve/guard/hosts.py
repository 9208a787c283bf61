"""By which names this server may be called: the guard against DNS rebinding."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tinymed.serve.guard.refused import RefusedError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Hosts:
    """Refuses a Host header that names neither loopback, nor this server, nor what is allowed."""

    def __init__(self, app: ASGIApp, *, allowed: Iterable[str]) -> None:
        """Stand before an application.

        Args:
            app: The application.
            allowed: More names, without ports.
        """
        self._app = app
        self._allowed = frozenset(host_of(name) for name in (*_LOOPBACK, *allowed))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        host = host_of(Headers(scope=scope).get("host", ""))
        # The address a client has connected to is no name that somebody else could move.
        own = scope["server"][0] if scope.get("server") else None
        if host == "" or (host not in self._allowed and host != own):
            raise RefusedError(
                421,
                "unknown-host",
                "This server does not go by that name: call it by its address, or start it with "
                "--allowed-host NAME.",
            )


def host_of(authority: str) -> str:
    """The host of a Host header, in small letters, without its port; "" where it is none.

    Example:
        >>> host_of("Clinic-PC:8417"), host_of("[::1]:8417"), host_of("::1"), host_of("a@b")
        ('clinic-pc', '::1', '::1', '')
    """
    host = authority.strip().lower()
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":") or "0"
    elif host.count(":") > 1:  # an IPv6 address as people write it
        port = "0"
    else:
        host, separator, port = host.partition(":")
        port = port if separator else "0"
    is_host = port.isdecimal() and all(letter.isalnum() or letter in ".-_:" for letter in host)
    return host.removesuffix(".") if is_host else ""
