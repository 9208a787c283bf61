"""The application: every guard before every route."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tinymed.serve.access.access import Access
from tinymed.serve.guard.addresses import own_name
from tinymed.serve.guard.bodies import Bodies
from tinymed.serve.guard.counts import Counts
from tinymed.serve.guard.failures import Failures
from tinymed.serve.guard.heads import Heads
from tinymed.serve.guard.hosts import Hosts
from tinymed.serve.guard.origins import Origins
from tinymed.serve.guard.pieces import Pieces
from tinymed.serve.guard.refused import RefusedError
from tinymed.serve.guard.security_headers import SecurityHeaders
from tinymed.serve.guard.sign_ins import SignIns
from tinymed.serve.programs.ollama import ollama_routes
from tinymed.serve.programs.openai import openai_routes
from tinymed.serve.programs.openapi import openapi_routes
from tinymed.serve.routes.cases import case_routes
from tinymed.serve.routes.health import health_routes
from tinymed.serve.routes.page import page_routes, read_page
from tinymed.serve.routes.reports import report_routes
from tinymed.serve.routes.sign_in import sign_in_routes
from tinymed.serve.service import Service
from tinymed.serve.settings import ServeSettings


def build_app(service: Service, settings: ServeSettings, access: Access) -> Starlette:
    """Put the application together; the first guard is the outermost."""
    routes: list[BaseRoute] = [
        *page_routes(read_page(), service, access),
        *health_routes(service, access),
        *sign_in_routes(access, service.record),
        *case_routes(service),
        *report_routes(service),
        *openai_routes(service),
        *ollama_routes(service),
        *openapi_routes(settings.limits),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Pieces),
            Middleware(SecurityHeaders),
            Middleware(Counts, metrics=service.metrics),
            Middleware(Failures),
            Middleware(Heads),
            Middleware(Hosts, allowed=(own_name(settings), *settings.allowed_hosts)),
            Middleware(Origins),
            Middleware(SignIns, access=access, note=service.record),
            Middleware(Bodies, limits=settings.limits),
        ],
        exception_handlers={HTTPException: _refuse},
    )
    app.router.redirect_slashes = False
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    """Tell of a path or a method that no route has, as of every refusal."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:  # noqa: PLR2004 - HTTP's
        raise RefusedError(404, "not-found", "There is nothing at this address.") from error
    if error.status_code == 405:  # noqa: PLR2004 - HTTP's
        allowed = sorted((error.headers or {}).get("Allow", "").split(", "))
        raise RefusedError(
            405,
            "method-not-allowed",
            f"This address does not take {request.method}.",
            headers={"Allow": ", ".join(allowed)},
        ) from error
    raise RefusedError(error.status_code, "refused", error.detail) from error
