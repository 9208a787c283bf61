"""Where the server may listen: off loopback only with a sign-in and TLS, or by a typed flag."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import Any

from tinymed.errors import ConfigError
from tinymed.serve.settings import ServeSettings

_BACKLOG = 128
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches an address.

    Example:
        >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def check_address(settings: ServeSettings, *, needs_sign_in: bool) -> tuple[str, ...]:
    """Refuse to be open to a network without a sign-in and TLS.

    Returns:
        Warnings to be shown at each start: what --insecure-lan leaves open.

    Raises:
        ConfigError: With exactly what is to be added.
    """
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise ConfigError("TLS needs both: --tls-certificate FILE and --tls-key FILE.")
    if is_loopback(settings.host):
        return ()
    sign_in = "a sign-in (--users FILE, made by 'tinymed users add', or --token-file FILE)"
    tls = "TLS (--tls-certificate FILE and --tls-key FILE)"
    missing = [] if needs_sign_in else [sign_in]
    missing += [] if settings.tls_certificate is not None else [tls]
    if not missing:
        return ()
    if not settings.insecure_lan:
        raise ConfigError(
            f"Serving '{settings.host}', which other computers reach, needs {' and '.join(missing)}"
            ": add what is named, or type --insecure-lan where everybody on the network may see "
            "everything."
        )
    warnings = []
    if not needs_sign_in:
        warnings.append("anybody who reaches this address can use it: there is no sign-in")
    if settings.tls_certificate is None:
        warnings.append("images, answers and passwords cross the network unencrypted")
    return tuple(warnings)


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen at every address of a host, at one port.

    Raises:
        ConfigError: If the host is not this computer's, or the port is taken or not allowed.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            # Of port 0, the first address chooses for all.
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(_listen_at(family, (address[0], chosen, *address[2:])))
    except (OSError, UnicodeError) as error:
        for listening in sockets:
            listening.close()
        raise ConfigError(_why_not(error, host, port)) from error
    return sockets


def own_name(settings: ServeSettings) -> str:
    """By which name this server calls itself.

    Example:
        >>> own_name(ServeSettings(host="192.168.1.5"))
        '192.168.1.5'
    """
    return socket.gethostname() if settings.host in _EVERYWHERE else settings.host


def url_of(settings: ServeSettings, listening: socket.socket) -> str:
    """What a person types into a browser."""
    scheme = "http" if settings.tls_certificate is None else "https"
    host = own_name(settings)
    if ":" in host:
        host = f"[{host}]"
    return f"{scheme}://{host}:{listening.getsockname()[1]}/"


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Families and addresses of a host, IPv4 first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return sorted({(int(family), address) for family, *_, address in found})


def _listen_at(family: int, address: tuple[Any, ...]) -> socket.socket:
    # Named, or asyncio leaves Nagle's algorithm on: each small answer would wait 40 ms for the
    # client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE"), 1)  # noqa: B009
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _why_not(error: OSError | UnicodeError, host: str, port: int) -> str:
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror):
        return f"This computer does not know the host '{host}': name one of its own addresses."
    reasons = {
        errno.EADDRINUSE: f"Port {port} is taken: stop what listens there, or choose --port.",
        errno.EACCES: f"Port {port} needs more rights: choose a --port above 1023.",
        errno.EADDRNOTAVAIL: f"'{host}' is no address of this computer: name one of its own.",
    }
    return reasons.get(
        error.errno or 0, f"Cannot listen at '{host}', port {port}: {error.strerror}."
    )
