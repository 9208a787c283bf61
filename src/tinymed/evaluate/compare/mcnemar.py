"""Whether one of two systems is right more often on the same questions: McNemar's test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NEGLIGIBLE = 1e-18


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Two-sided p-values of one comparison."""

    exact_p: float
    """The binomial test on the questions that only one of the two got right."""
    mid_p: float
    """The same, counting the observed split by half: less cautious, nearer to its level."""


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """Test whether two systems are right equally often, from the questions they differ on.

    Under the null hypothesis each such question falls to either system with probability ½.
    `exact_p` is twice the lower tail, at most 1; `mid_p` is twice the lower tail less the
    probability of the observed split, and so 1 where the counts are equal. Where there is
    no such question, both are 1. Questions are taken as independent of each other; several
    about one image are not, so read a cluster bootstrap beside it.

    Args:
        only_first: Questions that the first alone got right.
        only_second: Questions that the second alone got right.

    Raises:
        ValueError: If a count is negative.

    Source:
        McNemar (1947), "Note on the sampling error of the difference between correlated
        proportions or percentages", Psychometrika 12(2), 153-157; the mid-p form, which
        they recommend: Fagerland, Lydersen and Laake (2013), "The McNemar test for binary
        matched-pairs data", BMC Medical Research Methodology 13:91. They print 1 - f/2
        for equal counts (f: probability of that split), where doubling gives the 1 used here.

    Example:
        >>> found = mcnemar(1, 5)  # two tails of (1 + 6) / 64; the split itself has 6 / 64
        >>> round(found.exact_p, 6), round(found.mid_p, 6)
        (0.21875, 0.125)
        >>> mcnemar(0, 0), mcnemar(4, 4).exact_p
        (McNemar(exact_p=1.0, mid_p=1.0), 1.0)
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"Counts are {only_first} and {only_second}; they start at 0.")
    fewer, total = min(only_first, only_second), only_first + only_second
    if fewer * 2 == total:
        return McNemar(exact_p=1.0, mid_p=1.0)
    observed = _half_binomial(fewer, total)
    tail = term = 1.0
    for count in range(fewer, 0, -1):
        # Each split further out, as a share of the observed one.
        term *= count / (total - count + 1)
        tail += term
        if term < _NEGLIGIBLE:
            break
    return McNemar(exact_p=min(1.0, 2 * observed * tail), mid_p=min(1.0, observed * (2 * tail - 1)))


def _half_binomial(count: int, total: int) -> float:
    """Probability of `count` heads in `total` tosses, by logarithms: 2**-total underflows."""
    log_ways = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return math.exp(log_ways - total * math.log(2))


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """P-values of several comparisons, raised so that all together keep the error level.

    Source:
        Holm (1979), "A simple sequentially rejective multiple test procedure",
        Scandinavian Journal of Statistics 6(2), 65-70.

    Example:
        >>> holm_adjusted([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
