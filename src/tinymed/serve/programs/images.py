"""An image in a program's request: a data URI, bare base64, or a URL where that is allowed."""

from __future__ import annotations

import binascii
import http.client
import io
import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from tinymed.serve.programs.checked import RequestError

_DATA_URI = re.compile(rb"data:[^,;]{0,200}(?P<parameters>(?:;[^,;]{0,200}){0,20}),", re.IGNORECASE)
_FETCH_TIMEOUT_S = 10.0
_PIECE_BYTES = 1 << 20
"""A multiple of the four characters that base64 makes of three bytes."""
_BLANKS = b" \t\r\n\f\v"
_PADDING = ord("=")


class SentImage:
    """An image as it came, until its file is taken."""

    def __init__(
        self, text: bytes | memoryview, decode: Callable[[bytes | memoryview], bytes]
    ) -> None:
        """Nothing decoded yet.

        Args:
            text: A URL or base64, which may keep the whole body of a request in memory.
            decode: Makes a file of it.
        """
        self._text: bytes | memoryview | None = text
        self._decode = decode

    def take(self) -> bytes:
        """The file, once: nothing of it is held here any more. Not for the event loop.

        Raises:
            RequestError: If there is none.
        """
        text, self._text = self._text, None
        assert text is not None
        return self._decode(text)


def image_bytes(url: bytes | memoryview, *, may_fetch: bool, max_bytes: int) -> bytes:
    """The file behind an `image_url`.

    Args:
        url: A data URI in base64; where allowed, http or https.
        may_fetch: Whether this server may open connections to fetch images.
        max_bytes: The most a file may have.

    Raises:
        RequestError: If it is neither, too large, or cannot be fetched.
    """
    head = _DATA_URI.match(url)
    if head is not None:
        if not head["parameters"].lower().endswith(b";base64"):
            raise RequestError("The image's data URI is not in base64. Begin it data:…;base64,")
        return from_base64(memoryview(url)[head.end() :], max_bytes=max_bytes)
    if not re.match(rb"https?://", url, re.IGNORECASE):
        raise RequestError(
            "The image_url is no data URI. Send the file itself as data:application/dicom;base64,…"
        )
    if not may_fetch:
        raise RequestError(
            "This server fetches no images. Send the file itself as a data URI, or start the "
            "server with --fetch-image-urls."
        )
    return _fetched(str(url, "utf-8", "replace"), max_bytes)


def from_base64(text: bytes | memoryview, *, max_bytes: int) -> bytes:
    """Decode base64; blanks between its characters are allowed.

    Raises:
        RequestError: If it is not base64, empty or too large.
    """
    if len(text) * 3 // 4 > max_bytes + 1_000_000:
        raise _too_large(max_bytes)
    try:
        data = _decoded(text)
    except binascii.Error as error:
        raise RequestError("The image is not valid base64. Encode the file's bytes.") from error
    if not data:
        raise RequestError("The image is empty. Encode the file's bytes.")
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data


def _decoded(text: bytes | memoryview) -> bytes:
    try:
        return _decoded_in_pieces(text)
    except binascii.Error:  # as a text with line ends is; only such a one is copied
        return _decoded_in_pieces(bytes(text).translate(None, _BLANKS))


def _decoded_in_pieces(text: bytes | memoryview) -> bytes:
    # A call that decodes all of it holds the interpreter for seconds, and the server stands still.
    whole, file = memoryview(text), io.BytesIO()
    for begin in range(0, len(whole), _PIECE_BYTES):
        piece = whole[begin : begin + _PIECE_BYTES]
        if piece[-1] == _PADDING and begin + _PIECE_BYTES < len(whole):
            raise binascii.Error("padded before its end")
        file.write(binascii.a2b_base64(piece, strict_mode=True))
    return file.getvalue()


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(f"The image has more than {max_bytes // 1_000_000} MB. Send less.")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to where the sender of the request may not go."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _fetched(url: str, max_bytes: int) -> bytes:
    # Without an environment's proxies: the address is asked itself or not at all.
    opener = urllib.request.build_opener(_NoRedirect(), urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_FETCH_TIMEOUT_S) as response:
            data = _read_in_time(response, max_bytes)
    # What speaks no HTTP, and an address with blanks, is no OSError.
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RequestError(
            "The image cannot be fetched from its URL. Send the file itself as a data URI."
        ) from error
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data


def _read_in_time(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """What comes before it is too late or too much: a socket's timeout starts anew at each byte."""
    end = time.monotonic() + _FETCH_TIMEOUT_S
    pieces: list[bytes] = []
    num_bytes = 0
    while num_bytes <= max_bytes and (piece := response.read1(_PIECE_BYTES)):
        if time.monotonic() > end:
            raise TimeoutError
        pieces.append(piece)
        num_bytes += len(piece)
    return b"".join(pieces)
