"""How sure a mean is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NUM_RESAMPLES = 2_000
_CELLS_AT_ONCE = 2_000_000


def bootstrap_interval(
    values: Sequence[float], groups: Sequence[str], *, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean, with whole groups resampled.

    Questions about one image stand or fall together; resampling them one by one would
    claim more certainty than there is. One group says nothing about others, so its
    interval is (0, 1). Where every value is the same, so is every resample: the interval
    then has no width and understates the doubt.

    Args:
        values: One value in [0, 1] an item, at least one.
        groups: The cluster of each item, such as its image.
        seed: Same seed, same interval.

    Returns:
        The 2.5th and 97.5th percentile of 2,000 resampled means.

    Raises:
        ValueError: If there are no values or their number differs from that of groups.

    Source:
        Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.

    Example:
        >>> values = [1.0, 0.0] * 50
        >>> low, high = bootstrap_interval(values, [str(item) for item in range(100)])
        >>> f"{low:.2f} to {high:.2f}"
        '0.40 to 0.60'
        >>> bootstrap_interval([1.0, 0.0], ["same image", "same image"])
        (0.0, 1.0)
    """
    if not values or len(values) != len(groups):
        raise ValueError(f"{len(values)} values and {len(groups)} groups: need as many, not 0.")
    place = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    if len(place) == 1:
        return (0.0, 1.0)
    index = np.fromiter((place[group] for group in groups), dtype=np.intp, count=len(groups))
    sums = np.zeros(len(place))
    np.add.at(sums, index, np.asarray(values, dtype=np.float64))
    sizes = np.bincount(index).astype(np.float64)
    low, high = np.quantile(_resampled_means(sums, sizes, seed=seed), (0.025, 0.975))
    return (float(low), float(high))


def _resampled_means(
    sums: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], *, seed: int
) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(seed)
    num_groups = len(sums)
    rows_at_once = max(1, _CELLS_AT_ONCE // num_groups)
    means = []
    for start in range(0, NUM_RESAMPLES, rows_at_once):
        rows = min(rows_at_once, NUM_RESAMPLES - start)
        drawn = random.integers(num_groups, size=(rows, num_groups))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)
