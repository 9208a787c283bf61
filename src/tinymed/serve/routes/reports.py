"""A case's report on its way out: audited before it leaves."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tinymed.serve.audit.entry import Entry
from tinymed.serve.cases.cases import Case
from tinymed.serve.report.case_report import Exported, case_json, case_report
from tinymed.serve.routes.asked_by import user_of
from tinymed.serve.service import Service


def report_routes(service: Service) -> list[Route]:
    """The routes of a case's reports; what they refuse they raise."""

    async def as_json(request: Request) -> Response:
        case, report = _report(service, request)
        body = case_json(report)
        await service.record(_exported(case, request, form="json"))
        return _attachment(body, case, form="json", media_type="application/json")

    async def as_pdf(request: Request) -> Response:
        case, report = _report(service, request)
        language = request.query_params.get("language", "en")
        picture = None
        if request.query_params.get("picture", "0") == "1":
            picture = (await service.frame(case, case.first_frame)).image.pixels
        body = await asyncio.to_thread(_printed, report, language, picture)
        await service.record(_exported(case, request, form="pdf", picture=picture is not None))
        return _attachment(body, case, form="pdf", media_type="application/pdf")

    return [
        Route("/api/cases/{case}/report.json", as_json, methods=["GET"]),
        Route("/api/cases/{case}/report.pdf", as_pdf, methods=["GET"]),
    ]


def _printed(report: Mapping[str, Any], language: str, picture: Any) -> bytes:
    from tinymed.serve.report.pdf import case_pdf  # slow to import, and needed for nothing else

    return case_pdf(report, language=language, picture=picture)


def _report(service: Service, request: Request) -> tuple[Case, Mapping[str, Any]]:
    """A case as it is now: another question may come while it is printed."""
    user = user_of(request)
    case = service.case(request.path_params["case"], user=user)
    facts = service.facts
    assert facts is not None  # or else there would be no case
    exported = Exported(
        by=user,
        at=datetime.now(UTC),
        model=facts.name,
        scheme=facts.scheme,
        weights_sha256=facts.weights_sha256,
    )
    return case, case_report(copy.deepcopy(case.as_json()), exported)


def _exported(case: Case, request: Request, *, form: str, picture: bool = False) -> Entry:
    body = {"form": form, "picture": picture, "image_sha256": case.image_sha256}
    return Entry(kind="exported", user=user_of(request), case=case.id, body=body)


def _attachment(body: bytes, case: Case, *, form: str, media_type: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="tinymed-{case.id}.{form}"'}
    return Response(body, media_type=media_type, headers=headers)
