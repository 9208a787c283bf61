"""Who sends a request."""

from __future__ import annotations

from starlette.requests import Request


def user_of(request: Request) -> str:
    """The name that the sign-in put there; "" on a computer of one's own."""
    return str(getattr(request.state, "user", ""))
