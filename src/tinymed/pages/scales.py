"""The scale of an axis: where a value stands on it, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_LOG_BEYOND = 5.0
_NUM_TICKS = 5
_ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_STEPS = ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_FEW_TICKS = 4
_MANY_TICKS = 8
_MARGIN = 0.07


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From `low` on the left or at the bottom to `high`."""

    low: float
    high: float
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value stands between both ends, from 0 to 1; outside values at the ends.

        >>> Scale(low=1, high=100, is_log=True).share(10)
        0.5
        """
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self) -> tuple[float, ...]:
        """Round values within the scale, four to eight or so.

        >>> Scale(low=0, high=100).ticks()
        (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
        >>> Scale(low=90, high=2200, is_log=True).ticks()
        (100.0, 200.0, 500.0, 1000.0, 2000.0)
        """
        return self._log_ticks() if self.is_log else self._even_ticks()

    def _even_ticks(self) -> tuple[float, ...]:
        step = _round_step((self.high - self.low) / _NUM_TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        # Multiples of a step such as 0.1 are not exact; nobody wants 0.30000000000000004.
        return tuple(round(number * step, 12) for number in range(first, last + 1))

    def _log_ticks(self) -> tuple[float, ...]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found: tuple[float, ...] = ()
        for steps in _LOG_STEPS:
            values = (step * 10.0**decade for decade in decades for step in steps)
            found = tuple(value for value in values if self.low <= value <= self.high)
            if len(found) >= _FEW_TICKS:
                break
        if len(found) > _MANY_TICKS:
            found = tuple(value for value in found if _is_power_of_ten(value))
        return found if len(found) > 1 else self._even_ticks()


def scale_over(values: Iterable[float], *, ends: tuple[float, float] | None = None) -> Scale:
    """A scale that all values stand on, with some room; logarithmic where they range far.

    Args:
        values: At least one; not finite ones are passed over.
        ends: What the room may not leave, such as 0 and 100 for percent. A scale with ends
            is never logarithmic.

    Raises:
        ValueError: If there is no finite value.
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite), max(finite)
    if ends is None and low > 0 and high / low > _LOG_BEYOND:
        room = (high / low) ** _MARGIN
        return Scale(low=low / room, high=high * room, is_log=True)
    room = _MARGIN * (high - low) or abs(high) * 0.5 or 1.0
    least, most = ends or ((0.0, math.inf) if low >= 0 else (-math.inf, math.inf))
    return Scale(low=max(least, low - room), high=min(most, high + room))


def _round_step(step: float) -> float:
    decade = 10.0 ** math.floor(math.log10(step))
    return next(one * decade for one in _ROUND_STEPS if one * decade >= step * (1 - 1e-9))


def _is_power_of_ten(value: float) -> bool:
    power = math.log10(value)
    return math.isclose(power, round(power), abs_tol=1e-9)


def tick_text(value: float) -> str:
    """A value beside an axis.

    >>> tick_text(2000), tick_text(0.5), tick_text(-1500)
    ('2,000', '0.5', '−1,500')
    """
    text = f"{abs(value):,.0f}" if value == round(value) else f"{abs(value):,.4g}"
    return f"\N{MINUS SIGN}{text}" if value < 0 else text
