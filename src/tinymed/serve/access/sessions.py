"""Browsers that have signed in; in memory only, so a restart ends them."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

IDLE_S = 12 * 3600.0

_MAX_PER_USER = 16
_ID_BYTES = 32


@dataclass(slots=True, kw_only=True)
class Session:
    """One browser's."""

    user: str
    mark: bytes
    """Of the password or token it was opened with: another password, and it no longer holds."""
    used_at: float


class Sessions:
    """Sessions by a random id of 256 bits; only the id's hash is kept."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none."""
        self._clock = clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        """How many there are, idle ones included."""
        return len(self._sessions)

    def open(self, user: str, *, mark: bytes) -> str:
        """Open a session; a user's oldest is closed where there are too many."""
        self._drop_idle()
        own = [key for key, session in self._sessions.items() if session.user == user]
        for key in own[: max(0, len(own) - _MAX_PER_USER + 1)]:
            del self._sessions[key]
        session_id = secrets.token_urlsafe(_ID_BYTES)
        session = Session(user=user, mark=mark, used_at=self._clock())
        self._sessions[_key(session_id)] = session
        return session_id

    def find(self, session_id: str) -> Session | None:
        """The session of an id, which counts as used now."""
        self._drop_idle()
        key = _key(session_id)
        session = self._sessions.get(key)
        if session is not None:
            session.used_at = self._clock()
            self._sessions.move_to_end(key)
        return session

    def close(self, session_id: str) -> None:
        """Forget a session; one that is not there is no error."""
        self._sessions.pop(_key(session_id), None)

    def _drop_idle(self) -> None:
        # In the order in which they were used: the first that still holds ends the search.
        oldest = self._clock() - IDLE_S
        while self._sessions and next(iter(self._sessions.values())).used_at <= oldest:
            self._sessions.popitem(last=False)


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()
