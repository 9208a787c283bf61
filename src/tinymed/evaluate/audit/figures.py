"""A figure with its 95 % interval: any statistic under the cluster bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinymed.evaluate.intervals import percentile_interval, share_interval, times_drawn

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From how often each item counts, shape (rows, items), to one value a row; NaN where it is not
defined."""
_CELLS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number, how sure it is, and over how many items."""

    value: float | None
    """None where it is not defined; `reason` then says why."""
    interval: tuple[float, float] | None
    """95 %, whole groups resampled; None without a value or with a single group. Where all
    items agree, it has no width and understates the doubt."""
    num_samples: int
    reason: str | None = None

    def in_words(self, *, scale: int = 100, digits: int = 1) -> str:
        """The value and its interval, in percent where nothing else is said.

        >>> Figure(value=0.5, interval=(0.25, 0.75), num_samples=8).in_words()
        '50.0 [25.0, 75.0]'
        >>> Figure(value=None, interval=None, num_samples=0).in_words()
        '-'
        """
        if self.value is None:
            return "-"
        value = f"{scale * self.value:.{digits}f}"
        if self.interval is None:
            return value
        low, high = self.interval
        return f"{value} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


class Resamples:
    """2,000 resamples of whole groups; every figure asked of one object sees the same ones."""

    def __init__(self, groups: Sequence[str], *, whole: Sequence[str] = (), seed: int = 0) -> None:
        """Draw from the clusters of the items, one cluster an item, at least one item.

        Where the items are a subset, `whole` holds the clusters of all items: drawn from
        these, a subset's figure has the interval that `evaluate score` gives it.

        Raises:
            ValueError: If there are no items.
        """
        if not groups:
            raise ValueError("No items to resample.")
        names = dict.fromkeys([*whole, *groups])
        place = {name: index for index, name in enumerate(names)}
        self._group_of = np.array([place[group] for group in groups], dtype=np.intp)
        self._num_groups = len(set(groups))
        self._times = np.concatenate(list(times_drawn(len(names), seed=seed)))

    def figure(self, statistic: Statistic, *, undefined: str = "nothing to count") -> Figure:
        """Evaluate a statistic on all items and, for the interval, on every resample.

        Resamples on which it is not defined are left out of the interval.

        Args:
            statistic: A figure of items that count so many times each.
            undefined: Why there is no value, where the statistic of all items is NaN.

        Example:
            >>> right = np.array([1.0, 0.0] * 50)
            >>> resamples = Resamples([str(item) for item in range(100)])
            >>> resamples.figure(lambda times: (times @ right) / times.sum(axis=1)).value
            0.5
        """
        num_items = len(self._group_of)
        value = float(statistic(np.ones((1, num_items)))[0])
        if math.isnan(value):
            return Figure(value=None, interval=None, num_samples=num_items, reason=undefined)
        interval = None
        if self._num_groups > 1:
            rows_at_once = max(1, _CELLS_AT_ONCE // num_items)
            starts = range(0, len(self._times), rows_at_once)
            drawn = (
                self._times[start : start + rows_at_once, self._group_of].astype(np.float64)
                for start in starts
            )
            values = [statistic(times[times.any(axis=1)]) for times in drawn]
            interval = percentile_interval(np.concatenate(values))
        return Figure(value=value, interval=interval, num_samples=num_items)

    def share(self, holds: Floats, *, among: npt.NDArray[np.bool_] | None = None) -> Figure:
        """The mean of values that are 0 or 1.

        Where all are alike the interval is the exact bound, as in the scores: resampling
        would claim certainty.

        >>> low, high = Resamples(list("abcdefghij")).share(np.zeros(10)).interval
        >>> f"{low:.2f} to {high:.2f}"
        '0.00 to 0.31'
        """
        figure = self.mean(holds, among=among)
        if figure.interval is None or figure.value not in (0.0, 1.0):
            return figure
        counted = self._group_of if among is None else self._group_of[among]
        num_groups = len(np.unique(counted))
        interval = share_interval(np.array([figure.value]), num_groups=num_groups)
        return replace(figure, interval=interval)

    def mean(self, values: Floats, *, among: npt.NDArray[np.bool_] | None = None) -> Figure:
        """The mean of one value an item, or of the items where `among` holds.

        >>> values = np.array([1.0, 0.0, 1.0, 1.0])
        >>> figure = Resamples(["a", "b", "c", "d"]).mean(values, among=values > 2)
        >>> figure.value, figure.num_samples, figure.reason
        (None, 0, 'nothing to count')
        """
        counted = np.ones(len(values)) if among is None else among.astype(np.float64)
        number = int(counted.sum())
        if not number:
            return Figure(value=None, interval=None, num_samples=0, reason="nothing to count")
        interval = None
        if self._num_groups > 1:
            sums = self._times @ self._by_group(values * counted)
            numbers = self._times @ self._by_group(counted)
            with np.errstate(invalid="ignore"):
                interval = percentile_interval(sums / numbers)
        value = float((values * counted).sum() / number)
        return Figure(value=value, interval=interval, num_samples=number)

    def _by_group(self, values: Floats) -> Floats:
        sums = np.bincount(self._group_of, weights=values, minlength=self._times.shape[1])
        return sums.astype(np.float64)
