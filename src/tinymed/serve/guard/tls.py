"""The certificate and its key, tried before the server starts."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NoReturn

from tinymed.errors import ConfigError

_EXPIRED, _NOT_YET_VALID = 10, 9
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID."""
_MAX_ROUNDS = 10
_END = "-----END CERTIFICATE-----"


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer with this certificate.

    Raises:
        ConfigError: If a file cannot be read, the two do not belong together, the key needs a
            password, or the certificate is not valid today.
    """
    text = _read(certificate, "certificate")
    _read(key, "key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> NoReturn:
        raise ConfigError(
            f"The TLS key '{key}' needs a password: write it without one, readable by you alone."
        )

    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"The TLS key '{key}' is not that of the certificate '{certificate}'."
            ) from error
        raise ConfigError(
            f"'{certificate}' and '{key}' are not a certificate and its key in PEM "
            f"({error.reason or 'unreadable'})."
        ) from error
    _try(context, text, certificate)
    return context


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ConfigError(f"Cannot read the TLS {what} '{path}': {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The TLS {what} '{path}' is not in PEM: convert it.") from error


def _try(context: ssl.SSLContext, text: str, certificate: Path) -> None:
    """Shake hands in memory, as a client that trusts exactly this certificate."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own.check_hostname = False
    own.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    own.load_verify_locations(cadata=text.partition(_END)[0] + _END + "\n")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = own.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(_MAX_ROUNDS):
            if all([_is_through(client), _is_through(server)]):  # both, one after the other
                return
    except ssl.SSLCertVerificationError as error:
        reasons = {
            _EXPIRED: "has expired: get a new one",
            _NOT_YET_VALID: "is not valid yet: look at this computer's clock",
        }
        why = reasons.get(error.verify_code, f"is of no use here: {error.verify_message}")
        raise ConfigError(f"The TLS certificate '{certificate}' {why}.") from error
    except ssl.SSLError as error:
        raise ConfigError(
            f"The TLS certificate '{certificate}' does not work: {error.reason}."
        ) from error
    raise ConfigError(f"The TLS certificate '{certificate}' does not work: no handshake ends.")


def _is_through(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
