"""Who sends a request, by session or token; nobody passes where a sign-in is needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from tinymed.serve.access.access import Access, TooManyTriesError, WrongSignInError
from tinymed.serve.audit.entry import Entry
from tinymed.serve.guard.refused import RefusedError

COOKIE = "tinymed"

Note = Callable[[Entry], Awaitable[None]]
"""Writes a row of the audit, or raises AuditError."""

_OPEN = frozenset({"/", "/health", "/openapi.json", "/api/page", "/api/sign-in", "/api/sign-out"})
_OPEN_FOLDER = "/page/"


class SignIns:
    """Puts the user's name into `request.state.user`; "" for anybody."""

    def __init__(self, app: ASGIApp, *, access: Access, note: Note) -> None:
        """Stand before an application.

        Args:
            app: The application.
            access: Who may come in.
            note: Writes to the audit that a token did not fit.
        """
        self._app = app
        self._access = access
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            path = scope["path"]
            is_open = path in _OPEN or path.startswith(_OPEN_FOLDER)
            user = await self._user(scope) if self._access.needs_sign_in else ""
            if user is None and not is_open:
                raise _sign_in_first()
            scope.setdefault("state", {})["user"] = user or ""
        await self._app(scope, receive, send)

    async def _user(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._user_of_token(token.strip(), address=address_of(scope))
        session_id = session_of(headers)
        return self._access.user_of_session(session_id) if session_id else None

    async def _user_of_token(self, token: str, *, address: str) -> str:
        try:
            return self._access.user_of_token(token, address=address)
        except WrongSignInError as error:
            await self._note(Entry(kind="refused", body={"address": address, "by": "token"}))
            raise _sign_in_first("The token does not fit.") from error
        except TooManyTriesError as error:
            raise too_many_tries(error) from error


def session_of(headers: Headers) -> str:
    """The session id in the cookie; "" where there is none."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def address_of(scope: Scope) -> str:
    """The address that a request came from; "" where it is not known."""
    return str(scope["client"][0]) if scope.get("client") else ""


def too_many_tries(error: TooManyTriesError) -> RefusedError:
    """The refusal of one more try."""
    return RefusedError(
        429,
        "too-many-tries",
        "Too many wrong sign-ins: wait a minute and try again.",
        retry_after_s=error.retry_after_s,
    )


def _sign_in_first(message: str = "Sign in first.") -> RefusedError:
    return RefusedError(
        401, "sign-in-needed", message, headers={"WWW-Authenticate": 'Bearer realm="tinymed"'}
    )
