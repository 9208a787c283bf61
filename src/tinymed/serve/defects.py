"""What is logged of a defect: where it is, and nothing that a client sent."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from tinymed.errors import TinymedError
from tinymed.serve.refusals import NoMemoryError, QuestionFailedError

_log = logging.getLogger("tinymed.serve")


def told(error: BaseException, *, during: str) -> Exception:
    """The error that a client is told in place of one that was not meant to happen.

    One of ours stays as it is. A defect is logged, without its message, which may hold
    a question or a name.

    Args:
        error: What was raised.
        during: What was being done, for the log: "a question".
    """
    if isinstance(error, TinymedError):
        return error
    _log.error("%s failed: %s", during, where(error))
    if isinstance(error, MemoryError):
        return NoMemoryError("There was not enough memory for this request. Ask again later.")
    return QuestionFailedError(
        "The server failed at this request because of a defect; its log says where."
    )


def where(error: BaseException) -> str:
    """The kind of an error and the places it came through, the innermost first.

    >>> try:
    ...     {}["Jane Doe"]
    ... except KeyError as error:
    ...     print("Doe" in where(error), where(error).split()[0])
    False KeyError
    """
    frames = reversed(traceback.extract_tb(error.__traceback__))
    places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return f"{type(error).__name__} at {', '.join(places)}"
