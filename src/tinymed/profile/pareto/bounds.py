"""Bounds on costs as a user types them: "peak=4GB", "first-token=2s"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinymed.errors import ConfigError
from tinymed.profile.pareto.costs import COSTS, find_cost

_MIB = 2.0**20
_UNITS = {
    "MiB": {
        "KB": 1e3 / _MIB,
        "MB": 1e6 / _MIB,
        "GB": 1e9 / _MIB,
        "KiB": 2**10 / _MIB,
        "MiB": 1.0,
        "GiB": 2**30 / _MIB,
    },
    "ms": {"ms": 1.0, "s": 1000.0},
    "J": {"J": 1.0},
    "tokens/s": {"/s": 1.0, "tokens/s": 1.0},
}
"""What one of a typed unit is in the unit of the figures: KB, MB, GB are thousands of bytes,
KiB, MiB, GiB steps of 1,024."""

_BOUND = re.compile(r"\s*([\w-]+)\s*=\s*(\d+(?:\.\d+)?|\.\d+)\s*([\w/]*)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a cost may come to at most; a speed, what it must reach at least."""

    cost: str
    limit: float
    """In the unit of the cost's figures."""
    text: str
    """As typed."""

    def excess(self, value: float) -> float:
        """By what factor a figure misses the bound; at most 1 where it keeps it."""
        if COSTS[self.cost].is_gain:
            return self.limit / value if value > 0 else float("inf")
        return value / self.limit


def read_bound(text: str) -> Bound:
    """Read "COST=VALUE", the value with its unit.

    Raises:
        ConfigError: If it is no bound, names no cost, or its unit is not one of that cost's.

    Example:
        >>> read_bound("peak=1GiB").limit, read_bound("first-token=2s").limit
        (1024.0, 2000.0)
        >>> round(read_bound("peak=4GB").limit, 1)
        3814.7
    """
    found = _BOUND.fullmatch(text)
    if found is None:
        raise ConfigError(f"'{text}' is no bound: write COST=VALUE, such as peak=4GB.")
    name, number, unit = found.groups()
    units = _UNITS[find_cost(name).unit]
    if unit not in units:
        given = f"'{unit}' is no unit" if unit else "There is no unit"
        raise ConfigError(f"{given} in '{text}': {name} is told in {', '.join(units)}.")
    limit = float(number) * units[unit]
    if limit <= 0:
        raise ConfigError(f"'{text}' leaves nothing: the bound must be above 0.")
    return Bound(cost=name, limit=limit, text=f"{name}={number}{unit}")
