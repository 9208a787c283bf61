"""The subsets that every part of an audit reports apart."""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.evaluate.metrics.table import Subset
from tinymed.evaluate.pairing import Pair

SUBSETS: tuple[Subset, ...] = ("all", "closed", "open")


def by_subset(pairs: Sequence[Pair]) -> dict[Subset, list[Pair]]:
    """All pairs, the closed and the open ones; what would be empty is left out."""
    found = {
        subset: [one for one in pairs if subset in ("all", one.sample.answer_type)]
        for subset in SUBSETS
    }
    return {subset: some for subset, some in found.items() if some}
