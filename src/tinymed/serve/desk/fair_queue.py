"""A bounded queue that is fair to users."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from itertools import zip_longest
from typing import Generic, TypeVar

from tinymed.serve.refusals import TooManyWaitingError

Item = TypeVar("Item", bound=Hashable)

FIRST_GUESS_S = 1.0
"""How long an item takes, until some have been taken."""
LONGEST_RETRY_S = 60


class FairQueue(Generic[Item]):
    """Users take turns, and each user's own items come in the order in which they were put.

    However much one user puts, another's next item waits for one item of each user at most.
    Items are told apart by equality. Not for two threads at once: its owner holds a lock.
    """

    def __init__(
        self,
        *,
        max_waiting: int,
        max_waiting_per_user: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """An empty queue.

        Args:
            max_waiting: Items of all users together.
            max_waiting_per_user: Items of one.
            clock: Seconds, for the estimate of when to come again.
        """
        self._max_waiting = max_waiting
        self._max_waiting_per_user = max_waiting_per_user
        self._clock = clock
        self._lines: OrderedDict[str, dict[Item, None]] = OrderedDict()
        """Items by user, users in the order of their turns; nobody's line is empty."""
        self._user_of: dict[Item, str] = {}
        self._seconds: deque[float] = deque(maxlen=32)
        """Between two items taken, while others waited."""
        self._taken_at: float | None = None
        """When an item was last taken and others were left waiting."""

    def __len__(self) -> int:
        return len(self._user_of)

    def check_room(self, user: str) -> None:
        """Refuse one more item if there is no room for it.

        Raises:
            TooManyWaitingError: Status 429 if it is the user's own fault, 503 if it is not.
        """
        own = len(self._lines.get(user, ()))
        if own >= self._max_waiting_per_user:
            raise TooManyWaitingError(
                f"{own} of your questions and images are waiting already. Wait for an answer, "
                "then try again.",
                status=429,
                retry_after_s=self._retry_after_s(own * len(self._lines)),
            )
        if len(self) >= self._max_waiting:
            raise TooManyWaitingError(
                f"The server is busy: {len(self)} questions and images are waiting. Try again "
                "in a moment.",
                status=503,
                retry_after_s=self._retry_after_s(len(self)),
            )

    def put(self, user: str, item: Item) -> None:
        """Let an item wait.

        Raises:
            TooManyWaitingError: If there is no room.
        """
        self.check_room(user)
        self._lines.setdefault(user, {})[item] = None
        self._user_of[item] = user

    def take(self) -> Item | None:
        """The item whose turn it is, which waits no longer; None if none waits."""
        if not self._lines:
            return None
        user, line = self._lines.popitem(last=False)
        item = next(iter(line))
        del line[item], self._user_of[item]
        if line:
            self._lines[user] = line
        self._note_taken()
        return item

    def cancel(self, item: Item) -> bool:
        """Let an item wait no longer; whether it was waiting."""
        user = self._user_of.pop(item, None)
        if user is None:
            return False
        line = self._lines[user]
        del line[item]
        if not line:
            del self._lines[user]
        if not self._lines:
            self._taken_at = None
        return True

    def order(self) -> list[Item]:
        """All that wait, in the order in which they will be taken if nothing else comes."""
        rounds = zip_longest(*self._lines.values())
        return [item for round_ in rounds for item in round_ if item is not None]

    def _note_taken(self) -> None:
        now = self._clock()
        if self._taken_at is not None:
            self._seconds.append(now - self._taken_at)
        self._taken_at = now if self._lines else None

    def _retry_after_s(self, num_before: int) -> int:
        """When half of what stands before has probably been taken: whole seconds, 1 to 60."""
        known = self._seconds
        each_s = sum(known) / len(known) if known else FIRST_GUESS_S
        return max(1, min(LONGEST_RETRY_S, math.ceil(each_s * num_before / 2)))
