"""An image file on its way in, within what all uploads may hold together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.requests import Request

from tinymed.serve.refusals import (
    TooLargeError,
    TooManyWaitingError,
    WrongMediaTypeError,
)

RETRY_AFTER_S = 5


class Uploads:
    """Reads image files from requests."""

    def __init__(self, *, max_bytes: int, max_bytes_together: int) -> None:
        """Nothing on its way.

        Args:
            max_bytes: Of one file.
            max_bytes_together: Of all that are being received and decoded.
        """
        self._max_bytes = max_bytes
        self._max_bytes_together = max_bytes_together
        self._num_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """A request's body, whatever it says that it is; counted until the block is left.

        Raises:
            WrongMediaTypeError: If it is a form: a file comes as it is.
            TooLargeError: If it announces, or has, more bytes than are taken.
            TooManyWaitingError: If others hold too much.
        """
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise WrongMediaTypeError("Send the file's bytes as they are, not as a form.")
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise self._too_large()
        pieces: list[bytes] = []
        num_bytes = 0
        try:
            async for piece in request.stream():
                num_bytes += len(piece)
                self._num_bytes += len(piece)
                self._check(num_bytes)
                pieces.append(piece)
            body = b"".join(pieces)
            pieces.clear()
            yield body
        finally:
            self._num_bytes -= num_bytes

    def _check(self, num_bytes: int) -> None:
        if num_bytes > self._max_bytes:
            raise self._too_large()
        if self._num_bytes > self._max_bytes_together:
            raise TooManyWaitingError(
                "Others are sending large images. Try again in a moment.",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                retry_after_s=RETRY_AFTER_S,
            )

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"The image has more than {self._max_bytes // 1_000_000} MB. Send a smaller one."
        )
