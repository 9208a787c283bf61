"""A request's JSON body, checked against its schema before anything uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

import fastjsonschema

from tinymed.errors import UserError
from tinymed.serve.programs.schemas import Schema

_PLACE = re.compile(r"^data(?:\.|\b)")


class RequestError(UserError):
    """A request that is not what its route takes."""


def read_body(body: bytes, schema: Schema) -> dict[str, Any]:
    """A body's JSON object.

    Raises:
        RequestError: If it is not JSON, not Unicode, nested too deeply, or does not fit.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise RequestError("The body is nested too deeply. Send plain JSON.") from error
    except ValueError as error:
        raise RequestError(
            "The body is not JSON in UTF-8. Send one JSON object with Content-Type: "
            "application/json."
        ) from error
    if not isinstance(value, dict):
        raise RequestError("The body is not a JSON object. Send one in braces.")
    if rb"\u" in body.lower() and not _is_unicode(value):
        raise RequestError("The body holds half a character (a lone surrogate). Leave it out.")
    try:
        _validator(schema["title"])(value)
    except fastjsonschema.JsonSchemaValueException as error:
        raise RequestError(_sentence(error)) from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _is_unicode(value: Any) -> bool:
    """Whether every escaped surrogate has its other half; raw ones are no UTF-8 to begin with."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _validator(title: str) -> Callable[[Any], Any]:
    from tinymed.serve.programs import schemas

    known = {
        schema["title"]: schema
        for schema in (schemas.CHAT_COMPLETION, schemas.OLLAMA_CHAT, schemas.OLLAMA_SHOW)
    }
    compiled: Callable[[Any], Any] = fastjsonschema.compile(known[title], detailed_exceptions=True)
    return compiled


def _sentence(error: fastjsonschema.JsonSchemaValueException) -> str:
    """What does not fit, without the value: it may be megabytes of an image."""
    place = _PLACE.sub("", str(error.name)) or "the body"
    what = str(error.message).removeprefix(str(error.name)).strip()
    return f"'{place}' {what}."
