"""Whether the server can answer, and what it has counted."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinymed.serve.access.access import Access
from tinymed.serve.guard.addresses import is_loopback
from tinymed.serve.guard.refused import RefusedError
from tinymed.serve.guard.sign_ins import address_of
from tinymed.serve.metrics import CONTENT_TYPE
from tinymed.serve.service import Service

_RETRY_AFTER_S = 2


def health_routes(service: Service, access: Access) -> list[Route]:
    """The routes."""
    began = time.monotonic()

    async def health(_: Request) -> Response:
        facts = service.facts
        if service.state == "ready" and facts is not None:
            return JSONResponse({"status": "ready", "model": facts.name, "scheme": facts.scheme})
        row: dict[str, Any] = {
            "status": service.state,
            "seconds": round(time.monotonic() - began, 1),
        }
        if service.problem is not None:
            row["message"] = service.problem
        return JSONResponse(row, status_code=503, headers={"Retry-After": str(_RETRY_AFTER_S)})

    async def metrics(request: Request) -> Response:
        if not access.needs_sign_in and not is_loopback(address_of(request.scope)):
            raise RefusedError(
                403, "loopback-only", "Without a sign-in, only this computer may read the metrics."
            )
        return Response(service.metrics.metrics_text(), headers={"Content-Type": CONTENT_TYPE})

    return [Route("/health", health), Route("/metrics", metrics)]
