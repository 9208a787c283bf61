"""The routes of the page: cases, their frames, questions and verdicts."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinymed.engines.decoding import Decoding
from tinymed.images.received import ReceivedFrame
from tinymed.serve.asked.question import Decision, Question, Verdict
from tinymed.serve.cases.cases import Case
from tinymed.serve.refusals import UnreadableBodyError
from tinymed.serve.routes.asked_by import user_of
from tinymed.serve.routes.event_stream import EventStream
from tinymed.serve.routes.fields import read_fields
from tinymed.serve.routes.reports import report_routes
from tinymed.serve.service import Service

_KINDS = {"uint8": "grey8", "uint16": "grey16", "int16": "grey16s"}


def case_routes(service: Service) -> list[Route]:
    """The routes under /api/cases; what they refuse they raise."""
    routes = _CaseRoutes(service)
    one = "/api/cases/{case}"
    return [
        Route("/api/cases", routes.receive, methods=["POST"]),
        Route(one, routes.show, methods=["GET"]),
        Route(one, routes.close, methods=["DELETE"]),
        Route(f"{one}/frames/{{frame:int}}", routes.frame, methods=["GET"]),
        Route(f"{one}/questions", routes.ask, methods=["POST"]),
        Route(f"{one}/verdicts", routes.judge, methods=["POST"]),
        *report_routes(service),
    ]


class _CaseRoutes:
    """Requests turned into calls of the service."""

    def __init__(self, service: Service) -> None:
        limits = service.settings.limits
        self._service = service
        most = min(Decoding().max_new_tokens, limits.max_new_tokens)
        self._decoding = Decoding(max_new_tokens=most)

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        case = await self._service.receive(body, user=user_of(request))
        return JSONResponse(case.as_json(), status_code=201)

    async def show(self, request: Request) -> Response:
        return JSONResponse(self._case(request).as_json())

    async def close(self, request: Request) -> Response:
        await self._service.close_case(self._case(request))
        return Response(status_code=204)

    async def frame(self, request: Request) -> Response:
        found = await self._service.frame(self._case(request), request.path_params["frame"])
        facts, pixels = viewed(found)
        headers = {"X-Tinymed-Frame": json.dumps(facts)}
        return Response(pixels, media_type="application/octet-stream", headers=headers)

    async def ask(self, request: Request) -> Response:
        case = self._case(request)
        fields = await read_fields(request, question=str, frame=int, own_read=str)
        question = Question(
            text=fields.get("question", ""),
            frame=fields.get("frame"),
            own_read=fields.get("own_read", ""),
            decoding=self._decoding,
        )
        events = self._service.ask(case, question, user=user_of(request))
        first = await anext(events)
        return EventStream(first, events, case)

    async def judge(self, request: Request) -> Response:
        case = self._case(request)
        fields = await read_fields(request, answer=str, decision=str, reason=str, text=str)
        if fields.get("decision") not in get_args(Decision):
            raise UnreadableBodyError("A decision is accept, reject or edit.")
        verdict = Verdict(**({"answer": ""} | fields))
        await self._service.judge(case, verdict, user=user_of(request))
        return JSONResponse(case.entry(verdict.answer)["verdicts"][-1], status_code=201)

    def _case(self, request: Request) -> Case:
        return self._service.case(request.path_params["case"], user=user_of(request))


def viewed(found: ReceivedFrame) -> tuple[dict[str, Any], memoryview]:
    """A frame for a viewer: what its pixels are, and they themselves, row by row.

    Grey ones are the levels as stored, little-endian; others red, green, blue.
    """
    levels = found.levels
    values = found.image.pixels if levels is None else levels.values
    height, width = values.shape[:2]
    facts = {
        "width": width,
        "height": height,
        "kind": "rgb8" if levels is None else _KINDS[values.dtype.name],
        "center": None if levels is None else levels.center,
        "width_of_window": None if levels is None else levels.width,
        "is_inverted": levels is not None and levels.is_inverted,
        "frame": found.frame,
        "num_frames": found.num_frames,
    }
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return facts, little.data.cast("B")
