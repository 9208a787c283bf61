"""OpenAI's shape: /v1/models and /v1/chat/completions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinymed.engines.decoding import ChosenToken
from tinymed.errors import TinymedError
from tinymed.records import NOTICE
from tinymed.serve.asked.events import Answered, Event, Text
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
from tinymed.serve.programs.images import image_bytes
from tinymed.serve.programs.model_names import check_model, loaded_model
from tinymed.serve.programs.schemas import CHAT_COMPLETION
from tinymed.serve.refusals import refusal
from tinymed.serve.service import Service

_CANNOT = ("tools", "functions", "audio", "logit_bias", "presence_penalty", "frequency_penalty")
"""Would change the answer, and cannot be done: refused rather than left out."""
_STARTED = int(time.time())
_DEFAULTS = {"modalities": ["text"], "response_format": {"type": "text"}}


def openai_routes(service: Service) -> list[Route]:
    """The routes, in front of a service."""

    async def list_models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model_row(service)]})

    async def show_model(request: Request) -> Response:
        check_model(request.path_params["model"], service)
        return JSONResponse(_model_row(service))

    async def complete(request: Request) -> Response:
        # In one line: nothing large of the request lives longer than it takes to understand it.
        wanted, form = _understood(
            await request_json(request, CHAT_COMPLETION, service.settings.limits),
            service,
            user=request.state.user,
        )
        if form.is_streamed:
            return await streamed_answer(
                request,
                service,
                wanted,
                lambda events: _lines(events, wanted, form, service),
                media_type="text/event-stream",
            )
        answered = await unless_gone(request, lambda: whole_answer(service, wanted))
        return JSONResponse(_completion(answered, wanted, form, service))

    return [
        Route("/v1/models", list_models),
        Route("/v1/models/{model:path}", show_model),
        Route("/v1/chat/completions", complete, methods=["POST"]),
    ]


def _model_row(service: Service) -> dict[str, Any]:
    model = loaded_model(service)
    return {
        "id": model.name,
        "object": "model",
        "created": _STARTED,
        "owned_by": "tinymed",
        "tinymed": {
            "scheme": model.scheme,
            "weights_sha256": model.weights_sha256,
            "notice": NOTICE,
        },
    }


def _refuse_what_cannot_be(body: Mapping[str, Any]) -> None:
    for name in _CANNOT:
        if body.get(name):
            raise RequestError(f"'{name}' cannot be done by this model. Leave it out.")
    for name, only in _DEFAULTS.items():
        if body.get(name) not in (None, only):
            raise RequestError(f"'{name}' can only be {json.dumps(only)} here. Leave it out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How the answer is to be told."""

    is_streamed: bool
    has_usage: bool
    """Whether a stream ends with what it took."""
    has_logprobs: bool


def _form(fields: Mapping[str, Any]) -> _Form:
    return _Form(
        is_streamed=bool(fields.get("stream")),
        has_usage=bool((fields.get("stream_options") or {}).get("include_usage")),
        has_logprobs=bool(fields.get("logprobs")),
    )


def _understood(sent: Sent, service: Service, *, user: str) -> tuple[Wanted, _Form]:
    fields = sent.fields
    check_model(fields["model"], service)
    _refuse_what_cannot_be(fields)
    if fields.get("top_logprobs") and not fields.get("logprobs"):
        raise RequestError("'top_logprobs' needs 'logprobs' to be true.")
    values = {
        "max_new_tokens": fields.get("max_completion_tokens") or fields.get("max_tokens"),
        "temperature": fields.get("temperature"),
        "top_p": fields.get("top_p"),
        "seed": fields.get("seed"),
        "stop": stops(fields.get("stop")),
        "top_logprobs": fields.get("top_logprobs"),
    }
    known = {*CHAT_COMPLETION["properties"], *_CANNOT, *_DEFAULTS}
    settings = service.settings
    said = Said(
        turns=[_turn(message) for message in fields["messages"]],
        values=values,
        is_safe=fields.get("safe", True),
        unknown=others(fields, known.__contains__),
    )
    decode = partial(
        image_bytes,
        may_fetch=settings.fetch_image_urls,
        max_bytes=settings.limits.max_upload_bytes,
    )
    return understood(said, sent, decode=decode, service=service, user=user), _form(fields)


def _turn(message: Mapping[str, Any]) -> Turn:
    content = message.get("content") or ""
    if isinstance(content, str):
        return Turn(role=message["role"], text=content)
    for part in content:
        if part["type"] not in part:
            raise RequestError(f"A part of type '{part['type']}' has no '{part['type']}'. Add it.")
    return Turn(
        role=message["role"],
        text="\n".join(part["text"] for part in content if part["type"] == "text"),
        images=tuple(part["image_url"]["url"] for part in content if part["type"] == "image_url"),
    )


def _completion(
    answered: Answered, wanted: Wanted, form: _Form, service: Service
) -> dict[str, Any]:
    answer = answered.answer
    return {
        **_head(f"chatcmpl-{answered.id}", "chat.completion", service),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "finish_reason": answer.finish_reason,
                "logprobs": _logprobs(answered) if form.has_logprobs else None,
            }
        ],
        "usage": _usage(answered),
        "tinymed": about(answered, wanted.not_used),
    }


async def _lines(
    events: AsyncIterator[Event], wanted: Wanted, form: _Form, service: Service
) -> AsyncGenerator[str, None]:
    async with aclosing(_chunks(events, wanted, form, service)) as chunks:
        async for chunk in chunks:
            yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


async def _chunks(
    events: AsyncIterator[Event], wanted: Wanted, form: _Form, service: Service
) -> AsyncGenerator[dict[str, Any], None]:
    head = _head(f"chatcmpl-{uuid.uuid4().hex}", "chat.completion.chunk", service)

    def chunk(delta: dict[str, Any], **rest: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        more = {"usage": None} if form.has_usage else {}
        extra = {"tinymed": rest.pop("tinymed")} if "tinymed" in rest else {}
        return {**head, "choices": [choice | rest], **more, **extra}

    yield chunk({"role": "assistant", "content": ""})
    try:
        async for event in events:
            if isinstance(event, Text):
                yield chunk({"content": event.piece})
            elif isinstance(event, Answered):
                logprobs = _logprobs(event) if form.has_logprobs else None
                if logprobs:
                    yield chunk({"content": ""}, logprobs=logprobs)
                yield chunk(
                    {},
                    finish_reason=event.answer.finish_reason,
                    tinymed=about(event, wanted.not_used),
                )
                if form.has_usage:
                    yield {**head, "choices": [], "usage": _usage(event)}
    except TinymedError as error:  # the head is sent: all that is left is to say so
        yield _error_row(error)


def _head(id_: str, kind: str, service: Service) -> dict[str, Any]:
    model = loaded_model(service)
    return {
        "id": id_,
        "object": kind,
        "created": int(time.time()),
        "model": model.name,
        "system_fingerprint": f"tinymed-{model.weights_sha256[:16]}",
    }


def _usage(answered: Answered) -> dict[str, int]:
    answer = answered.answer
    return {
        "prompt_tokens": answer.num_prompt_tokens,
        "completion_tokens": answer.num_tokens,
        "total_tokens": answer.num_prompt_tokens + answer.num_tokens,
    }


def _logprobs(answered: Answered) -> dict[str, Any] | None:
    """Of the tokens shown; a withheld answer's are the model's words, and not shown."""
    if answered.answer.is_withheld:
        return None
    return {"content": [_token_row(token) for token in answered.answer.tokens], "refusal": None}


def _token_row(token: ChosenToken) -> dict[str, Any]:
    return {
        "token": token.text,
        "logprob": token.log_probability,
        "bytes": list(token.token_bytes),
        "top_logprobs": [
            {"token": one.text, "logprob": one.log_probability, "bytes": list(one.token_bytes)}
            for one in token.alternatives
        ],
    }


def _error_row(error: TinymedError) -> dict[str, Any]:
    told = refusal(error)
    row = {"message": told.message, "type": "server_error", "param": None, "code": told.code}
    return {"error": row}
