"""What the server refuses, and how a client is told."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from tinymed.errors import ImageError, TinymedError, UserError
from tinymed.serve.audit.errors import AuditError

RETRY_AUDIT_S = 10
"""When the audit may be mended: somebody has to look after the disk."""


class NoSuchCaseError(UserError):
    """There is no such case, or it is somebody else's."""

    status = 404
    code = "no-such-case"


class NoSuchFrameError(UserError):
    """The image has no such frame."""

    status = 404
    code = "no-such-frame"


class NoSuchAnswerError(UserError):
    """The case has no such answer."""

    status = 404
    code = "no-such-answer"


class TooLargeError(UserError):
    """A body is larger than the server takes."""

    status = 413
    code = "too-large"


class UnreadableBodyError(UserError):
    """A body is not in the form that its route takes."""

    status = 400
    code = "unreadable-body"


class TooManyWaitingError(TinymedError):
    """The queue is full, for one user (429) or for all (503)."""

    def __init__(self, message: str, *, status: int, retry_after_s: int) -> None:
        super().__init__(message)
        self.status = status
        self.code = "too-many-waiting" if status == HTTPStatus.TOO_MANY_REQUESTS else "busy"
        self.retry_after_s = retry_after_s


class NotReadyError(TinymedError):
    """The server is loading its model, has failed to, or is ending."""

    status = 503
    code = "not-ready"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuestionFailedError(TinymedError):
    """A defect of the server kept one question from its answer; the others go on."""

    status = 500
    code = "question-failed"


class NoMemoryError(QuestionFailedError):
    """There was not enough memory for one question."""

    status = 503
    code = "no-memory"
    retry_after_s = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error as a client is told it."""

    status: int
    code: str
    message: str
    """One sentence."""
    retry_after_s: int | None = None


def refusal(error: Exception) -> Refusal:
    """How a client is told of an error.

    >>> refusal(NoSuchCaseError("There is no such case.")).status
    404
    >>> refusal(UserError("The question is empty.")).status
    400
    >>> refusal(KeyError("a name")).message
    'The server failed at this request because of a defect; its log says where.'
    """
    if not isinstance(error, TinymedError):
        message = "The server failed at this request because of a defect; its log says where."
        return Refusal(status=500, code="defect", message=message)
    status, code, retry_after_s = 500, "failed", None
    if isinstance(error, AuditError):
        status, code, retry_after_s = 503, "no-audit", RETRY_AUDIT_S
    elif isinstance(error, ImageError):
        status, code = 422, "unreadable-image"
    elif isinstance(error, UserError):
        status, code = 400, "bad-request"
    return Refusal(
        status=int(getattr(error, "status", status)),
        code=str(getattr(error, "code", code)),
        message=str(error),
        retry_after_s=getattr(error, "retry_after_s", retry_after_s),
    )
