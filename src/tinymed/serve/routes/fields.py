"""The fields of a small JSON body, each of its own kind, none that is not known."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from starlette.requests import Request

from tinymed.serve.refusals import UnreadableBodyError


async def read_fields(request: Request, **kinds: type) -> dict[str, Any]:
    """A JSON object's fields; those that are missing or null are left out.

    Raises:
        UnreadableBodyError: If it is no JSON object, has another field, or one of another kind.
    """
    row = json_object(await request.body())
    fields = {name: value for name, value in row.items() if value is not None}
    for name, value in fields.items():
        kind = kinds.get(name)
        if kind is None:
            raise UnreadableBodyError(
                f"The request has a field that is not known. These are: {', '.join(kinds)}."
            )
        if not isinstance(value, kind) or isinstance(value, bool):
            word = {str: "text", int: "a whole number"}[kind]
            raise UnreadableBodyError(f"The field '{name}' is to be {word}.")
    return fields


def json_object(body: bytes) -> dict[str, Any]:
    """A body's JSON object.

    Raises:
        UnreadableBodyError: If it is not JSON in UTF-8, not Unicode, nested too deeply, or not an
            object.

    Example:
        >>> json_object(b'{"question": "Is it normal?"}')
        {'question': 'Is it normal?'}
    """
    try:
        # Decoded here: of bytes, `json` also takes UTF-16 and raw halves of a character.
        row = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
        json.dumps(row, ensure_ascii=False).encode()
    except RecursionError as error:
        raise UnreadableBodyError("The body is nested too deeply. Send plain JSON.") from error
    except UnicodeEncodeError as error:
        raise UnreadableBodyError(
            "The body holds half a character (a lone surrogate). Leave it out."
        ) from error
    except ValueError as error:
        raise UnreadableBodyError(
            "The body is not JSON in UTF-8. Send one JSON object with Content-Type: "
            "application/json."
        ) from error
    if not isinstance(row, dict):
        raise UnreadableBodyError("The body is not a JSON object. Send one in braces.")
    return row


def _refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity, which are Python's and no JSON."""
    raise ValueError(name)
