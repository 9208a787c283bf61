"""Who somebody is: by password, by token, by session."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tinymed.errors import ConfigError
from tinymed.serve.access.passwords import dummy_hash, is_password
from tinymed.serve.access.sessions import Sessions
from tinymed.serve.access.tokens import Tokens, read_tokens
from tinymed.serve.access.tries import Tries, network_of
from tinymed.serve.access.users import UsersFile
from tinymed.serve.settings import ServeSettings

TRIES_A_NAME = 5
TRIES_AN_ADDRESS = 20
"""Wrong ones, a minute."""

_HASHES_AT_ONCE = 2
"""Each takes 32 MiB."""


class WrongSignInError(Exception):
    """A name and password, or a token, that do not fit."""


class TooManyTriesError(Exception):
    """Too many of them lately."""

    def __init__(self, retry_after_s: float) -> None:
        """Say after how many seconds the next try is allowed."""
        super().__init__(f"too many wrong tries; the next in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class Access:
    """Users, tokens, sessions and the tries that were wrong. For the event loop."""

    def __init__(
        self,
        *,
        users: UsersFile | None = None,
        tokens: Tokens | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let these in; where there are neither users nor tokens, anybody.

        Raises:
            ConfigError: If a user and a token have one name.
        """
        self._users = users
        self._tokens = tokens or Tokens({})
        both = sorted({*self._user_names()} & {*self._tokens.names()})
        if both:
            raise ConfigError(f"'{both[0]}' names a user and a token: name the token otherwise.")
        self._sessions = Sessions(clock=clock)
        self._names = Tries(per_minute=TRIES_A_NAME, clock=clock)
        self._addresses = Tries(per_minute=TRIES_AN_ADDRESS, clock=clock)
        # Threads of its own: a client that leaves does not end the hash it asked for.
        self._hashing = ThreadPoolExecutor(_HASHES_AT_ONCE, thread_name_prefix="password")

    @property
    def needs_sign_in(self) -> bool:
        """Whether anybody has to say who they are."""
        return self._users is not None or len(self._tokens) > 0

    def knows(self, name: str) -> bool:
        """Whether a user or token has this name."""
        return name in self._user_names() or name in self._tokens.names()

    async def sign_in(self, name: str, password: str, *, address: str) -> str:
        """Open a session for a user, or for a token's name with the token as password.

        Returns:
            The session's id, for the cookie.

        Raises:
            WrongSignInError: If they do not fit.
            TooManyTriesError: After 5 wrong tries a minute for a name, 20 from an address.
        """
        name = unicodedata.normalize("NFC", name)
        network = network_of(address)
        wait_s = max(self._addresses.wait_s(network), self._names.wait_s(name))
        if wait_s > 0:
            raise TooManyTriesError(wait_s)
        self._addresses.count(network)
        self._names.count(name)
        if not await self._fits(name, password):
            raise WrongSignInError
        self._addresses.give_back(network)
        self._names.forget(name)
        mark = self._mark(name)
        if mark is None:  # removed while the password was hashed
            raise WrongSignInError
        return self._sessions.open(name, mark=mark)

    def user_of_session(self, session_id: str) -> str | None:
        """Who a session's browser is; None where the session ended or the user was removed."""
        session = self._sessions.find(session_id)
        if session is None:
            return None
        if self._mark(session.user) != session.mark:
            self._sessions.close(session_id)
            return None
        return session.user

    def user_of_token(self, token: str, *, address: str) -> str:
        """Whose token this is.

        Raises:
            WrongSignInError: If it is nobody's.
            TooManyTriesError: After 20 wrong tries a minute from an address.
        """
        network = network_of(address)
        wait_s = self._addresses.wait_s(network)
        if wait_s > 0:
            raise TooManyTriesError(wait_s)
        name = self._tokens.name_of(token)
        if name is None:
            self._addresses.count(network)
            raise WrongSignInError
        return name

    def sign_out(self, session_id: str) -> None:
        """End a session."""
        self._sessions.close(session_id)

    async def _fits(self, name: str, password: str) -> bool:
        if self._tokens.name_of(password) == name:
            return True
        found = None if self._users is None else self._users.find(name)
        # An unknown name costs as much time as a known one.
        fits = await asyncio.get_running_loop().run_in_executor(
            self._hashing, is_password, password, found or dummy_hash()
        )
        return fits and found is not None

    def _mark(self, name: str) -> bytes | None:
        found = None if self._users is None else self._users.find(name)
        if found is not None:
            return hashlib.sha256(found.salt + found.digest).digest()
        return b"token" if name in self._tokens.names() else None

    def _user_names(self) -> list[str]:
        return [] if self._users is None else self._users.names()


def access_of(settings: ServeSettings, environment: Mapping[str, str] | None = None) -> Access:
    """Read the users and tokens that the settings name, and the environment's token.

    Raises:
        ConfigError: If a file cannot be used.
    """
    return Access(
        users=None if settings.users is None else UsersFile(settings.users),
        tokens=read_tokens(settings.token_file, os.environ if environment is None else environment),
    )
