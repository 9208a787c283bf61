"""Signing in and out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tinymed.serve.access.access import Access, TooManyTriesError, WrongSignInError
from tinymed.serve.access.passwords import MAX_PASSWORD_CHARACTERS
from tinymed.serve.audit.entry import Entry
from tinymed.serve.guard.refused import RefusedError
from tinymed.serve.guard.sign_ins import (
    COOKIE,
    Note,
    address_of,
    session_of,
    too_many_tries,
)
from tinymed.serve.routes.fields import read_fields


def sign_in_routes(access: Access, note: Note) -> list[Route]:
    """The routes.

    Args:
        access: Who may come in.
        note: Writes a row of the audit, or raises AuditError: then nobody comes in.
    """

    async def sign_in(request: Request) -> Response:
        if not access.needs_sign_in:
            raise RefusedError(
                400, "no-sign-in", "Nobody has to sign in here: the server has no users."
            )
        name, password = await _name_and_password(request)
        address = address_of(request.scope)
        try:
            session_id = await access.sign_in(name, password, address=address)
        except TooManyTriesError as error:
            raise too_many_tries(error) from error
        except WrongSignInError as error:
            # A name nobody has may be a password typed into the wrong field.
            known = name if access.knows(name) else ""
            await note(
                Entry(kind="refused", user=known, body={"address": address, "by": "password"})
            )
            raise RefusedError(
                401, "wrong-sign-in", "The name or the password does not fit."
            ) from error
        user = access.user_of_session(session_id) or name
        await note(Entry(kind="signed-in", user=user, body={"address": address}))
        return _with_cookie(request, session_id)

    async def sign_out(request: Request) -> Response:
        access.sign_out(session_of(request.headers))
        return _with_cookie(request, "")

    return [
        Route("/api/sign-in", sign_in, methods=["POST"]),
        Route("/api/sign-out", sign_out, methods=["POST"]),
    ]


async def _name_and_password(request: Request) -> tuple[str, str]:
    fields = await read_fields(request, name=str, password=str)
    if len(fields) < 2:  # noqa: PLR2004 - both
        raise RefusedError(
            400, "bad-request", 'Send {"name": "…", "password": "…"} as JSON, both in words.'
        )
    name, password = fields["name"], fields["password"]
    if max(len(name), len(password)) > MAX_PASSWORD_CHARACTERS:
        raise RefusedError(400, "bad-request", "The name or the password is too long.")
    return name, password


def _with_cookie(request: Request, session_id: str) -> Response:
    """An empty answer that sets the cookie, or takes it back where there is no session."""
    cookie = f"{COOKIE}={session_id}; HttpOnly; SameSite=Strict; Path=/"
    if not session_id:
        cookie += "; Max-Age=0"
    if request.url.scheme == "https":
        cookie += "; Secure"
    return Response(status_code=204, headers={"Set-Cookie": cookie})
