"""Requests as JSON Schema: what is checked is what the OpenAPI document promises."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

MAX_MESSAGES = 200
_MAX_TEXT = 100_000
_TEXT = {"type": "string", "maxLength": _MAX_TEXT}

_PART: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["text", "image_url"]},
        "text": _TEXT,
        "image_url": {
            "type": "object",
            "required": ["url"],
            "properties": {
                "url": {
                    "type": "string",
                    "description": "A data URI of a PNG, JPEG or DICOM file in base64.",
                },
                "detail": {"type": ["string", "null"]},
            },
        },
    },
}
_OPENAI_MESSAGE: Schema = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool", "function"]},
        "content": {
            "type": ["string", "array", "null"],
            "maxLength": _MAX_TEXT,
            "maxItems": 100,
            "items": _PART,
        },
    },
}


def _or_null(kind: str, **bounds: Any) -> Schema:
    """Clients send null for what is not set; bounds hold for what is."""
    return {"type": [kind, "null"], **bounds}


_STOP: Schema = {
    "type": ["string", "array", "null"],
    "minLength": 1,
    "maxLength": 200,
    "maxItems": 4,
    "items": {"type": "string", "minLength": 1, "maxLength": 200},
}
_SEED = _or_null("integer", minimum=-(2**63), maximum=2**63 - 1)

CHAT_COMPLETION: Schema = {
    "title": "ChatCompletionRequest",
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "maxLength": 500},
        "messages": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_MESSAGES,
            "items": _OPENAI_MESSAGE,
        },
        "stream": _or_null("boolean"),
        "stream_options": _or_null("object", properties={"include_usage": {"type": "boolean"}}),
        "max_tokens": _or_null("integer", minimum=1, maximum=1_000_000),
        "max_completion_tokens": _or_null("integer", minimum=1, maximum=1_000_000),
        "temperature": _or_null("number", minimum=0, maximum=2),
        "top_p": _or_null("number", exclusiveMinimum=0, maximum=1),
        "seed": _SEED,
        "stop": _STOP,
        "n": _or_null("integer", minimum=1, maximum=1),
        "logprobs": _or_null("boolean"),
        "top_logprobs": _or_null("integer", minimum=0, maximum=20),
        "safe": {
            "type": "boolean",
            "description": "false asks for the model's own words, without gates; "
            "the server must have been started with --allow-raw.",
        },
    },
}
"""Further fields are taken and named in the answer's `not_used`."""

_BASE64 = {"type": "string", "description": "A PNG, JPEG or DICOM file in base64."}
OLLAMA_CHAT: Schema = {
    "title": "ChatRequest",
    "type": "object",
    "required": ["model"],
    "properties": {
        "model": {"type": "string", "maxLength": 500},
        "messages": {
            "type": "array",
            "maxItems": MAX_MESSAGES,
            "items": {
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": {"enum": ["system", "user", "assistant", "tool"]},
                    "content": _TEXT,
                    "images": _or_null("array", maxItems=10, items=_BASE64),
                },
            },
        },
        "stream": _or_null("boolean"),
        "options": _or_null(
            "object",
            properties={
                "temperature": _or_null("number", minimum=0, maximum=2),
                "top_p": _or_null("number", exclusiveMinimum=0, maximum=1),
                "seed": _SEED,
                "num_predict": _or_null("integer", minimum=-2, maximum=1_000_000),
                "stop": _STOP,
            },
        ),
        "safe": {"type": "boolean"},
    },
}

OLLAMA_SHOW: Schema = {
    "title": "ShowRequest",
    "type": "object",
    "description": "Names the model by one of the two.",
    "properties": {
        "model": {"type": "string", "maxLength": 500},
        "name": {"type": "string", "maxLength": 500},
    },
}
