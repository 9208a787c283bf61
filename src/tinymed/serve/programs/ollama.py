"""Ollama's shape: what front ends call to list models and to chat."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinymed import __version__
from tinymed.errors import TinymedError
from tinymed.records import NOTICE
from tinymed.serve.asked.events import Answered, Event, Text
from tinymed.serve.desk.loaded_model import ModelFacts
from tinymed.serve.programs.about import about
from tinymed.serve.programs.asking import (
    Said,
    Wanted,
    request_json,
    streamed_answer,
    understood,
    unless_gone,
    whole_answer,
)
from tinymed.serve.programs.chat import Turn, others, stops
from tinymed.serve.programs.checked import RequestError, Sent
from tinymed.serve.programs.images import from_base64
from tinymed.serve.programs.model_names import check_model, loaded_model
from tinymed.serve.programs.schemas import OLLAMA_CHAT, OLLAMA_SHOW
from tinymed.serve.refusals import refusal
from tinymed.serve.service import Service


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


_STARTED = _now()
_NS_PER_MS = 1_000_000
_OPTIONS = frozenset(OLLAMA_CHAT["properties"]["options"]["properties"])
_UNUSED_BY_NATURE = frozenset({"keep_alive"})
"""The model stays loaded as long as the server runs, whatever is asked."""


def ollama_routes(service: Service) -> list[Route]:
    """The routes, in front of a service."""

    async def version(_: Request) -> Response:
        return JSONResponse({"version": __version__})

    async def tags(_: Request) -> Response:
        return JSONResponse({"models": [_model_row(loaded_model(service))]})

    async def running(_: Request) -> Response:
        row = _model_row(loaded_model(service))
        forever = "2999-01-01T00:00:00Z"
        return JSONResponse({"models": [{**row, "expires_at": forever, "size_vram": 0}]})

    async def show(request: Request) -> Response:
        sent = await request_json(request, OLLAMA_SHOW, service.settings.limits)
        check_model(sent.fields.get("model") or sent.fields.get("name") or "", service)
        model = loaded_model(service)
        return JSONResponse(
            {
                "details": _details(model),
                "capabilities": ["completion", "vision"],
                "model_info": {
                    "general.architecture": model.name,
                    "tinymed.scheme": model.scheme,
                    "tinymed.weights_sha256": model.weights_sha256,
                    "tinymed.notice": NOTICE,
                },
            }
        )

    async def chat(request: Request) -> Response:
        return await _chat(service, request)

    return [
        Route("/api/version", version),
        Route("/api/tags", tags),
        Route("/api/ps", running),
        Route("/api/show", show, methods=["POST"]),
        Route("/api/chat", chat, methods=["POST"]),
    ]


def _model_row(model: ModelFacts) -> dict[str, Any]:
    return {
        "name": f"{model.name}:latest",
        "model": f"{model.name}:latest",
        "modified_at": _STARTED,
        "size": 0,
        "digest": model.weights_sha256,
        "details": _details(model),
    }


def _details(model: ModelFacts) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "tinymed",
        "family": model.name,
        "families": [model.name],
        "parameter_size": "",
        "quantization_level": model.scheme,
    }


async def _chat(service: Service, request: Request) -> Response:
    # In one line: nothing large of the request lives longer than it takes to understand it.
    wanted, is_streamed = _understood(
        await request_json(request, OLLAMA_CHAT, service.settings.limits),
        service,
        user=request.state.user,
    )
    if wanted is None:
        return JSONResponse(
            {**_head(service), "message": _message(""), "done": True, "done_reason": "load"}
        )
    if is_streamed:
        return await streamed_answer(
            request,
            service,
            wanted,
            lambda events: _lines(events, wanted, service),
            media_type="application/x-ndjson",
        )
    answered = await unless_gone(request, lambda: whole_answer(service, wanted))
    return JSONResponse(_last_row(answered, answered.answer.text, wanted, service))


def _understood(sent: Sent, service: Service, *, user: str) -> tuple[Wanted | None, bool]:
    """What is asked, None for nothing; and whether the answer is to be streamed.

    Without messages, Ollama's clients have a model loaded ahead of a chat.
    """
    fields = sent.fields
    check_model(fields["model"], service)
    is_streamed = fields.get("stream") is not False
    if not fields.get("messages"):
        return None, is_streamed
    for name in ("tools", "format"):
        if fields.get(name):
            raise RequestError(f"'{name}' cannot be done by this model. Leave it out.")
    options = fields.get("options") or {}
    num_predict = options.get("num_predict")
    limits = service.settings.limits
    values = {
        # Ollama's -1 and -2: as long as there is room.
        "max_new_tokens": limits.max_new_tokens if num_predict in (-1, -2) else num_predict or None,
        "temperature": options.get("temperature"),
        "top_p": options.get("top_p"),
        "seed": options.get("seed"),
        "stop": stops(options.get("stop")),
    }
    known = {*OLLAMA_CHAT["properties"], "tools", "format"} | _UNUSED_BY_NATURE
    said = Said(
        turns=[_turn(message) for message in fields["messages"]],
        values=values,
        is_safe=fields.get("safe", True),
        unknown=[*others(options, _OPTIONS.__contains__), *others(fields, known.__contains__)],
    )
    decode = partial(from_base64, max_bytes=limits.max_upload_bytes)
    return understood(said, sent, decode=decode, service=service, user=user), is_streamed


def _turn(message: Mapping[str, Any]) -> Turn:
    return Turn(
        role=message["role"],
        text=message.get("content") or "",
        images=tuple(message.get("images") or ()),
    )


async def _lines(
    events: AsyncIterator[Event], wanted: Wanted, service: Service
) -> AsyncGenerator[str, None]:
    try:
        async for event in events:
            if isinstance(event, Text):
                row = {**_head(service), "message": _message(event.piece), "done": False}
                yield _line(row)
            elif isinstance(event, Answered):
                yield _line(_last_row(event, "", wanted, service))
    except TinymedError as error:  # the head is sent: all that is left is to say so
        yield _line({"error": refusal(error).message})


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _head(service: Service) -> dict[str, Any]:
    return {"model": f"{loaded_model(service).name}:latest", "created_at": _now()}


def _message(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _last_row(answered: Answered, text: str, wanted: Wanted, service: Service) -> dict[str, Any]:
    answer, timings = answered.answer, answered.timings
    return {
        **_head(service),
        "message": _message(text),
        "done": True,
        "done_reason": answer.finish_reason,
        "total_duration": round(timings.total_ms * _NS_PER_MS),
        "load_duration": 0,
        "prompt_eval_count": answer.num_prompt_tokens,
        "prompt_eval_duration": round(timings.first_text_ms * _NS_PER_MS),
        "eval_count": answer.num_tokens,
        "eval_duration": round((timings.total_ms - timings.first_text_ms) * _NS_PER_MS),
        "tinymed": about(answered, wanted.not_used),
    }
