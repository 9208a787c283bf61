"""The OpenAPI document: every route, what it takes and what it gives."""

from __future__ import annotations

from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinymed import __version__
from tinymed.records import NOTICE
from tinymed.serve.asked.question import Decision
from tinymed.serve.programs import schemas
from tinymed.serve.programs.answer_schemas import (
    COUNT,
    SCHEMAS,
    TEXT,
    Schema,
    named,
    record,
)
from tinymed.serve.settings import Limits

_Responses = dict[str, Any]

_MESSAGES = {
    "400": "The request is not what the route takes: one sentence says what to change.",
    "401": "Sign in, or send a token.",
    "403": "Not allowed from here, or not by this server.",
    "404": "There is no such thing.",
    "408": "The request came too slowly.",
    "413": "The request is too large.",
    "414": "The address is too long.",
    "415": "Another kind of content is wanted.",
    "421": "This server is not called so.",
    "422": "The file is no image that can be read.",
    "429": "Too much at once from this user: Retry-After says when.",
    "431": "There are too many headers, or they are too long.",
    "500": "A defect of the server; its log has the id.",
    "503": "Loading, busy, draining, or the audit cannot be written: Retry-After says when.",
}
_ALWAYS = frozenset(_MESSAGES) - {"422"}
"""By the guards alone, which stand before every route."""


def openapi_routes(limits: Limits) -> list[Route]:
    """The document's own route."""
    made = document(limits)

    async def show(_: Request) -> Response:
        return JSONResponse(made)

    return [Route("/openapi.json", show)]


def document(limits: Limits) -> dict[str, Any]:
    """The whole document, OpenAPI 3.1, of a server with these limits."""
    requests = (schemas.CHAT_COMPLETION, schemas.OLLAMA_CHAT, schemas.OLLAMA_SHOW)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tinymed",
            "version": __version__,
            "summary": "Answers about medical images, from the computer at hand.",
            "description": NOTICE,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"token": []}, {"session": []}],
        "paths": {**_page_paths(limits), **_program_paths(limits), **_server_paths()},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "tinymed"},
            },
            "schemas": {**SCHEMAS, **{schema["title"]: schema for schema in requests}},
        },
    }


def _server_paths() -> dict[str, Any]:
    health = _json(named("Health"))
    sign_in = record(name={"type": "string"}, password={"type": "string"})
    done = {"204": {"description": "Done."}}
    return {
        "/health": {
            "get": _operation("Whether questions can be asked", {"200": health, "503": health})
        },
        "/metrics": {
            "get": _operation("Counts and times for Prometheus", {"200": _content("text/plain")})
        },
        "/api/page": {
            "get": _operation(
                "What a page has to know", {"200": _json(record(needs_sign_in={"type": "boolean"}))}
            )
        },
        "/api/sign-in": {"post": _operation("Begin a session", done, body=_json(sign_in))},
        "/api/sign-out": {"post": _operation("End the session", done)},
        "/openapi.json": {"get": _operation("This document", {"200": _json({"type": "object"})})},
    }


def _page_paths(limits: Limits) -> dict[str, Any]:
    words: Schema = {"type": "string", "maxLength": limits.max_question_characters}
    question = record(question=words | {"minLength": 1})
    question["properties"] |= {"frame": {"type": "integer", "minimum": 0}, "own_read": words}
    verdict = record(answer=TEXT, decision={"enum": list(get_args(Decision))})
    verdict["properties"] |= {"reason": words, "text": words}
    for fields in (question, verdict):
        fields["additionalProperties"] = False
    case = {"parameters": [_in_path("case", TEXT)]}
    frame = {"parameters": [_in_path("case", TEXT), _in_path("frame", COUNT)]}
    report = [
        _in_query("language", {"enum": ["en", "fr", "pt", "sw"]}),
        _in_query("picture", {"enum": [0, 1]}),
    ]
    return {
        "/api/cases": {
            "post": _operation(
                "Bring an image: its file's bytes as they are",
                {"201": _json(named("Case"))},
                body=_content("application/octet-stream"),
                also=("422",),
            )
        },
        "/api/cases/{case}": {
            **case,
            "get": _operation("A case and what was asked", {"200": _json(named("Case"))}),
            "delete": _operation("Forget a case", {"204": {"description": "Forgotten."}}),
        },
        "/api/cases/{case}/frames/{frame}": {
            **frame,
            "get": _operation(
                "A frame's pixels, row by row, little-endian; X-Tinymed-Frame says what they are",
                {"200": _content("application/octet-stream")},
                also=("422",),
            ),
        },
        "/api/cases/{case}/questions": {
            **case,
            "post": _operation(
                "Ask; the answer comes as server-sent events",
                {"200": _content("text/event-stream")},
                body=_json(question),
                also=("422",),
            ),
        },
        "/api/cases/{case}/verdicts": {
            **case,
            "post": _operation(
                "Accept, reject or edit an answer",
                {"201": _json({"type": "object"})},
                body=_json(verdict),
            ),
        },
        "/api/cases/{case}/report.json": {
            **case,
            "get": _operation("The case as JSON", {"200": _json({"type": "object"})}),
        },
        "/api/cases/{case}/report.pdf": {
            "parameters": [*case["parameters"], *report],
            "get": _operation(
                "The case as PDF", {"200": _content("application/pdf")}, also=("422",)
            ),
        },
    }


def _program_paths(limits: Limits) -> dict[str, Any]:
    openai: Schema = {"error": named("OpenAIError")}
    ollama: Schema = {"error": named("OllamaError")}
    stream: Schema = {"text/event-stream": {}}
    lines: Schema = {"application/x-ndjson": {}}
    models = {"200": _json(named("OllamaTags"))}
    bounds = (
        "The last message is the question, of at most "
        f"{limits.max_question_characters:,} characters. An answer has at most "
        f"{limits.max_new_tokens:,} tokens, whatever is asked for. Beside its images a request "
        f"has at most {limits.max_request_bytes:,} bytes."
    )
    return {
        "/v1/models": {
            "get": _operation("The model", {"200": _json(named("ModelList"))}, **openai)
        },
        "/v1/models/{model}": {
            "parameters": [_in_path("model", TEXT)],
            "get": _operation("The model", {"200": _json(named("Model"))}, **openai),
        },
        "/v1/chat/completions": {
            "post": {
                "description": bounds,
                **_operation(
                    "Ask as OpenAI's clients do",
                    {"200": _json(named("ChatCompletion"), stream)},
                    body=_json(named("ChatCompletionRequest")),
                    also=("422",),
                    **openai,
                ),
            }
        },
        "/api/version": {
            "get": _operation("Version", {"200": _json(record(version=TEXT))}, **ollama)
        },
        "/api/tags": {"get": _operation("The model", models, **ollama)},
        "/api/ps": {"get": _operation("The model", models, **ollama)},
        "/api/show": {
            "post": _operation(
                "The model",
                {"200": _json({"type": "object"})},
                body=_json(named("ShowRequest")),
                **ollama,
            )
        },
        "/api/chat": {
            "post": {
                "description": bounds,
                **_operation(
                    "Ask as Ollama's clients do",
                    {"200": _json(named("OllamaChat"), lines)},
                    body=_json(named("ChatRequest")),
                    also=("422",),
                    **ollama,
                ),
            }
        },
    }


def _operation(
    summary: str,
    responses: _Responses,
    *,
    body: dict[str, Any] | None = None,
    also: tuple[str, ...] = (),
    error: Schema | None = None,
) -> dict[str, Any]:
    shape = error or named("Error")
    refusals = {
        status: {**_json(shape), "description": _MESSAGES[status]}
        for status in sorted({*_ALWAYS, *also})
        if status not in responses
    }
    row: dict[str, Any] = {"summary": summary, "responses": {**responses, **refusals}}
    if body is not None:
        row["requestBody"] = {"required": True, "content": body["content"]}
    return row


def _json(schema: Schema, others: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}, **(others or {})}
    return {"description": "As asked.", "content": content}


def _content(media_type: str) -> dict[str, Any]:
    return {"description": "As asked.", "content": {media_type: {}}}


def _in_path(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}
