"""OpenAI's shape: /v1/models and /v1/chat/completions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tinymed.engines.decoding import ChosenToken
from tinymed.errors import TinymedError
from tinymed.records import NOTICE
from tinymed.serve.asked.events import Answered, Event, Text
from tinymed.serve.asked.question import Question
from tinymed.serve.programs.asking import (
    Wanted,
    asked,
    check_may_be_raw,
    request_json,
    unless_gone,
    whole_answer,
)
from tinymed.serve.programs.chat import (
    Turn,
    decoding_of,
    last_question,
    others,
    sampling_not_used,
    stops,
)
from tinymed.serve.programs.checked import RequestError
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
        body = await request_json(request, CHAT_COMPLETION)
        check_model(body["model"], service)
        _refuse_what_cannot_be(body)
        wanted = _wanted(body, service, user=request.state.user)
        if body.get("stream"):
            return await _streamed(service, wanted, body)
        answered = await unless_gone(request, lambda: whole_answer(service, wanted))
        return JSONResponse(_completion(answered, wanted, body, service))

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


def _wanted(body: Mapping[str, Any], service: Service, *, user: str) -> Wanted:
    is_safe = body.get("safe", True)
    check_may_be_raw(service, is_safe=is_safe)
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise RequestError("'top_logprobs' needs 'logprobs' to be true.")
    found = last_question([_turn(message) for message in body["messages"]])
    values = {
        "max_new_tokens": body.get("max_completion_tokens") or body.get("max_tokens"),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "seed": body.get("seed"),
        "stop": stops(body.get("stop")),
        "top_logprobs": body.get("top_logprobs"),
    }
    limits = service.settings.limits
    known = {*CHAT_COMPLETION["properties"], *_CANNOT, *_DEFAULTS}
    return Wanted(
        image=lambda: image_bytes(
            found.image,
            may_fetch=service.settings.fetch_image_urls,
            max_bytes=limits.max_upload_bytes,
        ),
        question=Question(
            text=found.question,
            decoding=decoding_of(values, is_safe=is_safe, most_tokens=limits.max_new_tokens),
            safe=is_safe,
            withdraws=False,
        ),
        not_used=(
            *found.not_used,
            *sampling_not_used(values, is_safe=is_safe),
            *others(body, known.__contains__),
        ),
        user=user,
    )


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
    answered: Answered, wanted: Wanted, body: Mapping[str, Any], service: Service
) -> dict[str, Any]:
    answer = answered.answer
    return {
        **_head(f"chatcmpl-{answered.id}", "chat.completion", service),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "finish_reason": answer.finish_reason,
                "logprobs": _logprobs(answered) if body.get("logprobs") else None,
            }
        ],
        "usage": _usage(answered),
        "tinymed": about(answered, wanted.not_used),
    }


async def _streamed(service: Service, wanted: Wanted, body: Mapping[str, Any]) -> Response:
    """Chunks as the answer comes; what refuses it is raised before the first is sent."""
    stack = AsyncExitStack()
    events = await stack.enter_async_context(asked(service, wanted))

    async def chunks() -> AsyncIterator[str]:
        async with stack:
            async for chunk in _chunks(events, wanted, body, service):
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
            yield "data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


async def _chunks(
    events: AsyncIterator[Event], wanted: Wanted, body: Mapping[str, Any], service: Service
) -> AsyncIterator[dict[str, Any]]:
    head = _head(f"chatcmpl-{uuid.uuid4().hex}", "chat.completion.chunk", service)
    wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))

    def chunk(delta: dict[str, Any], **rest: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        more = {"usage": None} if wants_usage else {}
        extra = {"tinymed": rest.pop("tinymed")} if "tinymed" in rest else {}
        return {**head, "choices": [choice | rest], **more, **extra}

    yield chunk({"role": "assistant", "content": ""})
    sent = ""
    try:
        async for event in events:
            if isinstance(event, Text):
                sent += event.piece
                yield chunk({"content": event.piece})
            elif isinstance(event, Answered):
                rest = event.answer.text.removeprefix(sent)
                logprobs = _logprobs(event) if body.get("logprobs") else None
                if rest or logprobs:
                    yield chunk({"content": rest}, logprobs=logprobs)
                yield chunk(
                    {},
                    finish_reason=event.answer.finish_reason,
                    tinymed=about(event, wanted.not_used),
                )
                if wants_usage:
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


def about(answered: Answered, not_used: tuple[str, ...]) -> dict[str, Any]:
    """What a safe answer says beyond its text, for programs that look for it."""
    answer = answered.answer
    row = asdict(answer)
    kept = ("notice", "kind", "is_withheld", "finding", "confidence", "calibrated")
    return {
        "id": answered.id,
        **{name: row[name] for name in kept},
        "alerts": list(row["alerts"]),
        "gates": list(row["gates"]),
        "not_used": list(not_used),
    }


def _error_row(error: TinymedError) -> dict[str, Any]:
    told = refusal(error)
    row = {"message": told.message, "type": "server_error", "param": None, "code": told.code}
    return {"error": row}
