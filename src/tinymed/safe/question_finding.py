"""Whether yes to a question means that something is there, or is so that it should not be."""

from __future__ import annotations

import re

_WELL = re.compile(
    r"\b(?:normal|normally|healthy|clear|intact|unremarkable|benign|typical|symmetric(?:al)?|"
    r"preserved|midline)\b",
    re.IGNORECASE,
)
# What is present is then that something else is gone or not so, and "absent" would be read of that.
_TURNS_ROUND = re.compile(
    r"\b(?:against|doubts?|doubtful|unlikely|resol\w+|clearing|clearance|cleared|improv\w+|"
    r"regress\w+|disappear\w+|exclu\w+|negative|ruled? out|ruling out|"
    r"(?:low|small|decreased|reduced) (?:probability|likelihood|chance|risk|suspicion)|"
    r"(?:decrease|reduction|removal) (?:of|in))\b",
    re.IGNORECASE,
)
_SHOULD_NOT_BE_SO = re.compile(
    r"(?:an? )?(?:\w+ly |well |ring[- ])?"
    r"(?:abnormal|affected|atrophied|atypical|blunted|calcified|collapsed|compressed|deviated|"
    r"dilated|displaced|edematous|elevated|enhancing|enlarged|flattened|fractured|herniated|"
    r"hyperdense|hyperinflated|hyperintense|hypodense|hypointense|infected|inflamed|malignant|"
    r"narrowed|obscured|obstructed|pathologic(?:al)?|perforated|ruptured|shifted|swollen|"
    r"thickened|tortuous|unhealthy|widened)\b",
    re.IGNORECASE,
)


def is_finding(asked: str, *, opposite: str, form: str) -> bool:
    """Whether an answer to a question with an opposite is a finding.

    Args:
        asked: A question for yes or no.
        opposite: What `absence_question` makes of it.
        form: Which kind of question that says it is.

    >>> asked, opposite = "Is the heart enlarged?", "Is the heart not enlarged?"
    >>> is_finding(asked, opposite=opposite, form="property")
    True
    >>> asked, opposite = "Is the enlarged heart normal?", "Is the enlarged heart abnormal?"
    >>> is_finding(asked, opposite=opposite, form="property")
    False
    """
    if form == "existence":
        return not _WELL.search(asked) and not _TURNS_ROUND.search(asked)
    return form == "property" and _SHOULD_NOT_BE_SO.match(_claimed(asked, opposite)) is not None


def _claimed(asked: str, opposite: str) -> str:
    """What a question says of its subject: where it and its opposite part."""
    words, others = asked.split(), opposite.split()
    same = [one == other for one, other in zip(words, others, strict=False)]
    parting = same.index(False) if False in same else len(same)
    return " ".join(words[parting:])
