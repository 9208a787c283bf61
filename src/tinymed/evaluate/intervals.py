"""How sure a figure is: the cluster bootstrap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

NUM_RESAMPLES = 2_000
_CELLS_AT_ONCE = 4_000_000

Floats = npt.NDArray[np.float64]


def resampled_totals(columns: Floats, groups: Sequence[str], *, seed: int = 0) -> Floats:
    """Sums of every column in 2,000 resamples of whole groups, drawn with replacement.

    Questions about one image stand or fall together; resampling them one by one would
    claim more certainty than there is. Every column sees the same resamples, so the ratio
    or the difference of two columns is a paired figure.

    Args:
        columns: Shape (items, columns): what is summed, such as right answers beside a
            column of ones for their number.
        groups: The cluster of each item, such as its image.
        seed: Same seed, same resamples.

    Returns:
        Shape (2000, columns).

    Raises:
        ValueError: If there are no items or their number differs from that of groups.

    Source:
        Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13; for
        clusters: Field and Welsh (2007), "Bootstrapping clustered data", section 3.
    """
    if not len(columns) or len(columns) != len(groups):
        raise ValueError(f"{len(columns)} items and {len(groups)} groups: need as many, not 0.")
    place = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    index = np.fromiter((place[group] for group in groups), dtype=np.intp, count=len(groups))
    sums = np.column_stack(
        [np.bincount(index, weights=column, minlength=len(place)) for column in columns.T]
    )
    return np.concatenate([times @ sums for times in times_drawn(len(place), seed=seed)])


def times_drawn(num_groups: int, *, seed: int = 0) -> Iterator[npt.NDArray[np.intp]]:
    """How often each group is drawn in each of 2,000 resamples, in blocks of resamples.

    Yields:
        Shape (some resamples, groups); every row sums to the number of groups.
    """
    random = np.random.default_rng(seed)
    rows_at_once = max(1, _CELLS_AT_ONCE // num_groups)
    for start in range(0, NUM_RESAMPLES, rows_at_once):
        rows = min(rows_at_once, NUM_RESAMPLES - start)
        drawn = random.integers(num_groups, size=(rows, num_groups))
        drawn += num_groups * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * num_groups)
        yield times.reshape(rows, num_groups)


def percentile_interval(values: Floats) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of resampled values; NaN (nothing drawn) is left out.

    Raises:
        ValueError: If nothing is left.
    """
    drawn = values[~np.isnan(values)]
    if not len(drawn):
        raise ValueError("No resample holds a value.")
    low, high = np.quantile(drawn, (0.025, 0.975))
    return (float(low), float(high))


def share_interval(resampled: Floats, *, num_groups: int) -> tuple[float, float]:
    """95 % interval of a share in [0, 1]: the resamples' percentiles, where they say anything.

    One group says nothing about others: (0, 1). Where all resamples are 0, or all are 1,
    their percentiles would claim certainty; the exact bound for as many groups that all
    agree stands in their place.

    Args:
        resampled: The share in each resample, NaN where nothing was drawn.
        num_groups: How many groups hold an item of the share.

    Source:
        Clopper and Pearson (1934), for the bound.

    Example:
        >>> low, high = share_interval(np.ones(2000), num_groups=10)
        >>> f"{low:.2f} to {high:.2f}"
        '0.69 to 1.00'
    """
    if num_groups == 1:
        return (0.0, 1.0)
    low, high = percentile_interval(resampled)
    if low == high == 1:
        return (0.025 ** (1 / num_groups), 1.0)
    if low == high == 0:
        return (0.0, 1 - 0.025 ** (1 / num_groups))
    return (low, high)


def bootstrap_interval(
    values: Sequence[float], groups: Sequence[str], *, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean, with whole groups resampled.

    Mind `share_interval` for one group and for values that are all alike.

    Args:
        values: One value in [0, 1] an item, at least one.
        groups: The cluster of each item, such as its image.
        seed: Same seed, same interval.

    Raises:
        ValueError: If there are no values or their number differs from that of groups.

    Example:
        >>> values = [1.0, 0.0] * 50
        >>> low, high = bootstrap_interval(values, [str(item) for item in range(100)])
        >>> f"{low:.2f} to {high:.2f}"
        '0.40 to 0.60'
        >>> bootstrap_interval([1.0, 0.0], ["same image", "same image"])
        (0.0, 1.0)
    """
    columns = np.column_stack([np.asarray(values, dtype=np.float64), np.ones(len(values))])
    totals = resampled_totals(columns, groups, seed=seed)
    return share_interval(totals[:, 0] / totals[:, 1], num_groups=len(set(groups)))
