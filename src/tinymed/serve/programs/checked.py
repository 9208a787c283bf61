"""A request's JSON body, checked against its schema before anything uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

import fastjsonschema

from tinymed.errors import UserError
from tinymed.serve.programs.long_texts import (
    TooMuchBesideError,
    texts_put_back,
    without_long_texts,
)
from tinymed.serve.programs.schemas import Schema

_PLACE = re.compile(r"^data(?:\.|\b)")


class RequestError(UserError):
    """A request that is not what its route takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request's JSON object; long files in base64 are named in it and not copied."""

    fields: dict[str, Any]
    files: Mapping[str, bytes | memoryview]
    """By their names in `fields`; they keep the request's body in memory."""

    def file(self, text: str) -> bytes | memoryview:
        """The base64, or the URL, that a text of `fields` is or names."""
        return self.files[text] if text in self.files else text.encode()


def read_body(body: bytes | bytearray, schema: Schema, *, max_bytes: int) -> Sent:
    """What a body says.

    Args:
        body: As it came.
        schema: What it has to fit.
        max_bytes: The most it may have beside its images.

    Raises:
        RequestError: If it is not JSON, not Unicode, nested too deeply, too much, or does not fit.
    """
    try:
        rest, long = without_long_texts(body, max_bytes=max_bytes)
        value = json.loads(rest.decode("utf-8-sig"), parse_constant=_refuse_constant)
        value, files = texts_put_back(value, long, max_bytes=max_bytes - len(rest))
        is_unicode = _is_unicode(value)
    except RecursionError as error:
        raise RequestError("The body is nested too deeply. Send plain JSON.") from error
    except TooMuchBesideError as error:
        raise RequestError(
            f"The body is not JSON, or has more than {max_bytes:,} bytes beside its images. Send "
            "one JSON object with a shorter conversation."
        ) from error
    except ValueError as error:
        raise RequestError(
            "The body is not JSON in UTF-8. Send one JSON object with Content-Type: "
            "application/json."
        ) from error
    if not isinstance(value, dict):
        raise RequestError("The body is not a JSON object. Send one in braces.")
    if not is_unicode:
        raise RequestError("The body holds half a character (a lone surrogate). Leave it out.")
    try:
        _validator(schema["title"])(value)
    except fastjsonschema.JsonSchemaValueException as error:
        raise RequestError(_sentence(error)) from error
    return Sent(fields=value, files=files)


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
    """What does not fit, without the value: it may be a patient's."""
    place = _PLACE.sub("", str(error.name)) or "the body"
    what = str(error.message).removeprefix(str(error.name)).strip()
    return f"'{place}' {what}."
