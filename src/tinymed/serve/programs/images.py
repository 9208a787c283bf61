"""An image in a program's request: a data URI, bare base64, or a URL where that is allowed."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.error
import urllib.request
from typing import Any

from tinymed.serve.programs.checked import RequestError

_DATA_URI = re.compile(r"data:(?P<type>[^,;]*)(?P<parameters>(?:;[^,;]*)*),", re.IGNORECASE)
_FETCH_TIMEOUT_S = 10.0


def image_bytes(url: str, *, may_fetch: bool, max_bytes: int) -> bytes:
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
        if not head["parameters"].lower().endswith(";base64"):
            raise RequestError("The image's data URI is not in base64. Begin it data:…;base64,")
        return from_base64(url[head.end() :], max_bytes=max_bytes)
    if not re.match(r"https?://", url, re.IGNORECASE):
        raise RequestError(
            "The image_url is no data URI. Send the file itself as data:application/dicom;base64,…"
        )
    if not may_fetch:
        raise RequestError(
            "This server fetches no images. Send the file itself as a data URI, or start the "
            "server with --fetch-image-urls."
        )
    return _fetched(url, max_bytes)


def from_base64(text: str, *, max_bytes: int) -> bytes:
    """Decode base64; blanks between its characters are allowed.

    Raises:
        RequestError: If it is not base64, empty or too large.
    """
    if len(text) * 3 // 4 > max_bytes + 1_000_000:
        raise RequestError(f"The image has more than {max_bytes // 1_000_000} MB. Send less.")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("The image is not valid base64. Encode the file's bytes.") from error
    if not data:
        raise RequestError("The image is empty. Encode the file's bytes.")
    if len(data) > max_bytes:
        raise RequestError(f"The image has more than {max_bytes // 1_000_000} MB. Send less.")
    return data


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to where the sender of the request may not go."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _fetched(url: str, max_bytes: int) -> bytes:
    # Without an environment's proxies: the address is asked itself or not at all.
    opener = urllib.request.build_opener(_NoRedirect(), urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_FETCH_TIMEOUT_S) as response:
            data: bytes = response.read(max_bytes + 1)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise RequestError(
            "The image cannot be fetched from its URL. Send the file itself as a data URI."
        ) from error
    if len(data) > max_bytes:
        raise RequestError(f"The image has more than {max_bytes // 1_000_000} MB. Send less.")
    return data
