"""Programs' tokens: kept as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from tinymed.errors import ConfigError
from tinymed.serve.access.private_file import read_private

TOKEN_VARIABLE = "TINYMED_TOKEN"  # noqa: S105 - the variable's name
MIN_TOKEN_CHARACTERS = 16

_NAME_OF_VARIABLES_TOKEN = "token"  # noqa: S105 - a name
_HOW = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe())'"


class Tokens:
    """Which token is whose."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """Keep the digests of tokens by name."""
        self._digests = {name: _digest(token) for name, token in tokens.items()}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._digests)

    def names(self) -> list[str]:
        """Everybody's name."""
        return sorted(self._digests)

    def name_of(self, token: str) -> str | None:
        """Whose token this is; as slow for a wrong one as for a right one."""
        given = _digest(token)
        found = None
        for name, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = name
        return found


def read_tokens(path: Path | None, environment: Mapping[str, str]) -> Tokens:
    """Read the token file (`NAME TOKEN` lines; `#` begins a comment) and the environment's token.

    Raises:
        ConfigError: With the line that does not fit; never with a token.
    """
    tokens: dict[str, str] = {}
    if path is not None:
        text = read_private(path, what="token file")
        for number, line in enumerate(text.splitlines(), start=1):
            _take_line(line, tokens, where=f"'{path}', line {number}")
        if not tokens:
            raise ConfigError(f"The token file '{path}' holds no token: write NAME TOKEN a line.")
    if TOKEN_VARIABLE in environment:
        _take(_NAME_OF_VARIABLES_TOKEN, environment[TOKEN_VARIABLE], tokens, where=TOKEN_VARIABLE)
    return Tokens(tokens)


def _take_line(line: str, tokens: dict[str, str], *, where: str) -> None:
    words = line.split()
    if not words or words[0].startswith("#"):
        return
    if len(words) != 2:  # noqa: PLR2004 - name and token
        raise ConfigError(f"{where} is not NAME TOKEN, with one blank between them.")
    _take(words[0], words[1], tokens, where=where)


def _take(name: str, token: str, tokens: dict[str, str], *, where: str) -> None:
    if name in tokens:
        raise ConfigError(f"{where} gives the name '{name}' a second token: name it otherwise.")
    if token in tokens.values():
        raise ConfigError(
            f"{where} gives the name '{name}' another name's token, and the audit could not tell "
            f"them apart; {_HOW}"
        )
    if len(token) < MIN_TOKEN_CHARACTERS or not token.isascii():
        raise ConfigError(
            f"{where}: a token has {MIN_TOKEN_CHARACTERS} or more plain letters and digits; {_HOW}"
        )
    tokens[name] = token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
