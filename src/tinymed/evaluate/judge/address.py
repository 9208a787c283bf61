"""Where a judge is, and whether what it is sent stays on this machine."""

from __future__ import annotations

import ipaddress
import os
import urllib.parse

from tinymed.errors import ConfigError

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"


def check_url(url: str) -> str:
    """The address of an OpenAI-compatible server, without a last slash.

    Refuses a user, password or query in it, because the address is written into the run
    folder and a secret must not be.

    Raises:
        ConfigError: If it is not http or https, names no host or holds more than a path.

    Example:
        >>> check_url("http://127.0.0.1:8080/v1/")
        'http://127.0.0.1:8080/v1'
    """
    try:
        parts = urllib.parse.urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ConfigError(
            "The judge's --url is no http or https address; "
            "write one such as http://127.0.0.1:8080/v1."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(
            "The judge's --url holds a user, a password or a query, and it would be written "
            "down; keep secrets in the environment variable that --api-key-env names."
        )
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether what is sent to an address stays on this machine.

    Example:
        >>> is_loopback("http://localhost:8080/v1"), is_loopback("http://[::1]:8080")
        (True, True)
        >>> is_loopback("http://127.0.0.1.example.org/v1")
        False
    """
    host = urllib.parse.urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def api_key(url: str, variable: str | None) -> str | None:
    """The key to send: from the variable named, else $OPENAI_API_KEY; none to loopback.

    A loopback server is sent a key only where its variable is named, so that the key of a
    service on the internet does not reach whatever listens on this machine.

    Raises:
        ConfigError: If the variable is not set.
    """
    if variable is None and is_loopback(url):
        return None
    name = variable or DEFAULT_KEY_VARIABLE
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(
            f"The environment variable {name} holds no key for {url}; set it "
            "(to any word, if that server asks for none)."
        )
    return key
