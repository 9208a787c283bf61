"""Parts of a data set whose scores are worth seeing apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tinymed.records import Sample

DIMENSIONS = ("modality", "body_part", "question_type")
LARGEST = 30
"""Values of one dimension that get a row each; what is rarer shares one."""


def parts(
    samples: Sequence[Sample], more: Mapping[str, Sequence[str]] | None = None
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which samples belong to each modality, body part and question type.

    A dimension that says nothing (one value for all, or none given) has no parts. Beyond
    the 30 largest values of a dimension, the rest share the part "DIMENSION=(rarer)";
    samples without a value are in "DIMENSION=(none)".

    Args:
        samples: What is divided.
        more: Further dimensions: the value of each sample.

    Returns:
        "modality=CT" and the like, largest first within a dimension; shape (samples,) each.

    Example:
        >>> def sample(modality: str | None) -> Sample:
        ...     return Sample(id="", question="", reference="", answer_type="open",
        ...                   modality=modality)
        >>> found = parts([sample("CT"), sample("MRI"), sample("CT"), sample(None)])
        >>> {name: mask.tolist() for name, mask in found.items()}["modality=CT"]
        [True, False, True, False]
        >>> list(found)
        ['modality=CT', 'modality=MRI', 'modality=(none)']
    """
    dimensions: dict[str, Sequence[str]] = {
        dimension: [getattr(sample, dimension) or "(none)" for sample in samples]
        for dimension in DIMENSIONS
    }
    found = {}
    for dimension, given in {**dimensions, **(more or {})}.items():
        counts = Counter(given)
        if len(counts) == 1:
            continue
        common = [value for value, _ in counts.most_common(LARGEST)]
        shown = set(common)
        values = np.array([value if value in shown else "(rarer)" for value in given])
        for value in common if len(common) == len(counts) else [*common, "(rarer)"]:
            found[f"{dimension}={value}"] = values == value
    return found
