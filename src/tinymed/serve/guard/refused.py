"""A request that is not answered: one sentence and a code, in the shape that its route speaks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tinymed.errors import TinymedError

_OLLAMA = frozenset(
    f"/api/{name}"
    for name in (
        *("version", "tags", "show", "ps", "chat"),
        # Its clients ask at these too, and are to read why not.
        *("generate", "embed", "embeddings", "pull", "push", "create", "copy", "delete"),
    )
)
_OPENAI = "/v1/"
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RefusedError(TinymedError):
    """Ends a request, wherever it is raised, as long as nothing of an answer was sent."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say with which status and why.

        Args:
            status: Of HTTP.
            code: For programs, in kebab-case.
            message: For people: what is wrong, what to do. Nothing of an image or a question.
            retry_after_s: When to ask again.
            headers: More headers of the answer.
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = None if retry_after_s is None else max(1, math.ceil(retry_after_s))
        self.headers = dict(headers or {})


def answer_of(refused: RefusedError, path: str) -> tuple[dict[str, str], bytes]:
    """The headers and the JSON by which a client of this path is told.

    Example:
        >>> answer_of(RefusedError(404, "not-found", "Nothing here."), "/api/tags")[1]
        b'{"error": "Nothing here."}'
    """
    body = json.dumps(_shape(refused, path), ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **refused.headers,
    }
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    return headers, body


def _shape(refused: RefusedError, path: str) -> dict[str, Any]:
    message = str(refused)
    if path in _OLLAMA:
        return {"error": message}
    if not path.startswith(_OPENAI):
        return {"error": {"message": message, "code": refused.code}}
    is_ours = refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = "server_error" if is_ours else "invalid_request_error"
    kind = _OPENAI_TYPES.get(refused.status, kind)
    return {"error": {"message": message, "type": kind, "param": None, "code": refused.code}}
