"""How often a password or token may be wrong."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_WINDOW_S = 60.0
_MAX_KEYS = 10_000


class Tries:
    """Counts wrong tries by key (a name, an address) over the last minute.

    Memory is bounded: of more than 10,000 keys, the one that was wrong longest ago is forgotten.
    """

    def __init__(self, *, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow so many wrong tries a minute for each key."""
        self._per_minute = per_minute
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Seconds until this key may try again; 0 where it may now."""
        times = self._times.get(key)
        if times is None:
            return 0.0
        now = self._clock()
        while times and times[0] <= now - _WINDOW_S:
            times.popleft()
        if not times:
            del self._times[key]
        return max(0.0, times[0] + _WINDOW_S - now) if len(times) >= self._per_minute else 0.0

    def count(self, key: str) -> None:
        """Count a try; before it is judged, so that many at once do not slip through."""
        self._times.setdefault(key, deque()).append(self._clock())
        self._times.move_to_end(key)
        if len(self._times) > _MAX_KEYS:
            self._times.popitem(last=False)

    def give_back(self, key: str) -> None:
        """The last try was right after all."""
        if self._times.get(key):
            self._times[key].pop()

    def forget(self, key: str) -> None:
        """Begin anew for this key."""
        self._times.pop(key, None)


def network_of(address: str) -> str:
    """The key of an address: an IPv6 user has all addresses of a /64.

    Example:
        >>> network_of("192.168.1.5"), network_of("2001:db8::1234")
        ('192.168.1.5', '2001:db8::/64')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
