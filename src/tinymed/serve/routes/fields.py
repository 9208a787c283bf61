"""The fields of a small JSON body, each of its own kind, none that is not known."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from tinymed.serve.refusals import UnreadableBodyError


async def read_fields(request: Request, **kinds: type) -> dict[str, Any]:
    """A JSON object's fields; those that are missing or null are left out.

    Raises:
        UnreadableBodyError: If it is no JSON object, has another field, or one of another kind.
    """
    try:
        row = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError("The request's body is not JSON. Send a JSON object.") from error
    if not isinstance(row, dict):
        raise UnreadableBodyError("The request's body is no JSON object. Send one.")
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
