"""Opening web addresses: passwords, retries, and what may be shown of them."""

from __future__ import annotations

import base64
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import IO, Protocol, cast

from tinymed import __version__

TIMEOUT_S = 30.0
TRIES = 4
FIRST_PAUSE_S = 0.5
"""Doubled at each try."""

NETWORK_ERRORS = (OSError, HTTPException)
"""What a connection can fail with."""

_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})


class Response(Protocol):
    """What urllib gives back for http, https and file addresses alike."""

    headers: HTTPMessage
    status: int | None

    def read(self, amount: int = ..., /) -> bytes:
        """Up to `amount` bytes; fewer at the end, or where the connection broke."""
        ...

    def read1(self, amount: int = ..., /) -> bytes:
        """What has come, up to `amount` bytes; waits only where that is nothing."""
        ...

    def geturl(self) -> str:
        """The address after redirects."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


def open_url(url: str, headers: dict[str, str], *, token: str | None = None) -> Response:
    """Open an address, trying again where the connection or the server fails.

    Proxies and SSL_CERT_FILE are urllib's to honour. A user and password in the address
    are sent as such, or the token where there is one, to that host alone.

    Raises:
        OSError: If it fails for good.
        ValueError: If the address is not http, https or file.
    """
    request = _request(url, headers, token)
    opener = urllib.request.build_opener(_Redirects)
    for attempt in range(TRIES):
        try:
            return cast("Response", opener.open(request, timeout=TIMEOUT_S))
        except NETWORK_ERRORS as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if attempt == TRIES - 1 or not _worth_retrying(error):
                raise
        time.sleep(FIRST_PAUSE_S * 2**attempt)
    raise AssertionError  # the last attempt returns or raises


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in words.

    >>> reason_of(TimeoutError("timed out"))
    'timed out'
    """
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            "the server's certificate is not trusted (behind a filtering proxy, set "
            "SSL_CERT_FILE to its certificate)"
        )
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


def without_password(url: str) -> str:
    """An address as it may be shown.

    >>> without_password("https://me:secret@pip.example:8443/simple/")
    'https://pip.example:8443/simple/'
    """
    parts = urllib.parse.urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    return urllib.parse.urlunsplit(bare)


def resolve(link: str, *, page_url: str, opened_url: str) -> str:
    """A page's link as a full address, with the page's password where the host is the same.

    Args:
        link: As written on the page.
        page_url: The page's address as asked for; may hold a password.
        opened_url: The page's address after redirects.

    >>> resolve("f.whl", page_url="https://me:pw@pip.example/a/", opened_url="https://pip.example/a/")
    'https://me:pw@pip.example/a/f.whl'
    >>> resolve("https://cdn.example/f.whl", page_url="https://me:pw@pip.example/", opened_url="https://pip.example/")
    'https://cdn.example/f.whl'
    """
    full = urllib.parse.urlsplit(urllib.parse.urljoin(opened_url, link))
    asked = urllib.parse.urlsplit(page_url)
    same_host = (full.scheme, full.netloc) == (asked.scheme, asked.netloc.rpartition("@")[2])
    return urllib.parse.urlunsplit(full._replace(netloc=asked.netloc) if same_host else full)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect, and gives what identifies the user to the same host alone."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request that follows, or None where there is none."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        secret = req.unredirected_hdrs.get("Authorization")
        if following is not None and secret and origin(newurl) == origin(req.full_url):
            following.add_unredirected_header("Authorization", secret)
        return following


def origin(url: str) -> tuple[str, str]:
    """An address's scheme and host: what a password or a token belongs to.

    >>> origin("https://me:pw@hub.example:8443/a/b")
    ('https', 'hub.example:8443')
    """
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _request(url: str, headers: dict[str, str], token: str | None) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise ValueError(f"'{parts.scheme}' addresses are not supported")
    request = urllib.request.Request(  # noqa: S310  the scheme is checked above
        without_password(url), headers=headers
    )
    request.add_header("User-Agent", f"tinymed/{__version__}")
    if parts.username is not None:
        user, password = map(urllib.parse.unquote, (parts.username, parts.password or ""))
        basic = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        # Unredirected: a redirect may lead to another host, which must not learn it.
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    elif token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def _worth_retrying(error: BaseException) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _RETRIED_STATUS
    cause = getattr(error, "reason", error)
    return not isinstance(cause, ssl.SSLCertVerificationError | FileNotFoundError)
