"""What a judge's reply says: two scores, or nothing that can be used."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Order = Literal["published", "swapped"]
"""Which answer a judge reads first: the reference (as published) or the prediction."""

HIGHEST_SCORE = 10.0
_LONGEST_LINE = 200
"""Characters; a longer first line is prose."""

_NUMBER = r"(?P<{name}>[0-9]{{1,3}}(?:\.[0-9]+)?)(?:\s?/\s?10)?"
_FIRST = _NUMBER.format(name="first")
_SECOND = _NUMBER.format(name="second")
_PAIR = re.compile(
    r"(?:(?:the )?(?:two )?(?:scores?|ratings?)(?: are)?\s*[:=]?\s*)?"
    rf"(?P<bracket>[\[(])?\s*{_FIRST}(?:\s*[,;|]\s+|\s+(?:and\s+)?){_SECOND}\s*(?(bracket)[\])])\.?",
    re.IGNORECASE,
)
_ONE_LABELLED = (
    r"(?:(?:the )?(?:score|rating) (?:of|for) )?assistant\s?(?P<{label}>[12])"
    r"(?:'s)?(?:\s(?:score|rating))?\s*(?:[:=]|\sis\s)\s*"
)
_TWO_LABELLED = re.compile(
    rf"{_ONE_LABELLED.format(label='one')}{_FIRST}\s*[,;|.]?\s+(?:and\s+)?"
    rf"{_ONE_LABELLED.format(label='two')}{_SECOND}\.?",
    re.IGNORECASE,
)
_HALF = re.compile(
    rf"{_ONE_LABELLED.format(label='one')}{_FIRST}\s*[,;|.]?",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(?:the )?(?:two )?(?:scores?|ratings?)(?: are)?\s*:?", re.IGNORECASE)
_REASONING_BEGIN = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
_REASONING_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_MARKDOWN = re.compile(r"^[#>\-\s]+(?=\D)|^[#>\s]+|[*_`]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The two scores of a reply, in the order in which the judge read the answers."""

    first: float
    second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """The scores of a reference and of the prediction beside it."""

    reference: float
    """Above 0."""
    prediction: float

    @property
    def relative_percent(self) -> float:
        """The prediction's score as a percentage of the reference's; may exceed 100."""
        return 100 * self.prediction / self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Unparsed:
    """A reply that gives no scores, and why."""

    reason: str


def parse_scores(reply: str) -> Scores | Unparsed:
    """Read the two scores that a reply opens with, in any shape that leaves no doubt.

    A judge's reasoning in <think> tags is passed over, and so are blank lines, bold type, a
    heading such as "Scores:" and "/10". What could mean two things is refused: three numbers,
    "8,6" (a decimal comma?), "8/6", "8-6", one number, scores inside prose.

    Returns:
        Scores in [0, 10], or why there are none; it never raises.

    Departs from:
        LLaVA-Med's reader, which is `parse_strictly`.

    Example:
        >>> parse_scores("<think>1 or 2?</think>\\n\\n**Scores:** 9, 6.5\\nThe first is ...")
        Scores(first=9.0, second=6.5)
        >>> parse_scores("Assistant 1: 8/10 Assistant 2: 4/10")
        Scores(first=8.0, second=4.0)
        >>> parse_scores("8 6 7").reason
        "no two scores in '8 6 7'"
    """
    line = _opening(reply)
    if not line:
        return Unparsed(reason="the reply is empty")
    shown = f"'{line[:60]}…'" if len(line) > 60 else f"'{line}'"  # noqa: PLR2004 - a glimpse
    if len(line) > _LONGEST_LINE:
        return Unparsed(reason=f"no two scores in {shown}")
    scores = _pair(line) or _labelled(line)
    if scores is None:
        return Unparsed(reason=f"no two scores in {shown}")
    if max(scores.first, scores.second) > HIGHEST_SCORE:
        return Unparsed(reason=f"a score above 10 in {shown}")
    return scores


def _opening(reply: str) -> str:
    """The line that should hold the scores, without decoration."""
    said = _without_reasoning(reply)
    lines = [clean for line in said.splitlines() if (clean := _MARKDOWN.sub("", line).strip())]
    if len(lines) > 1 and _HEADING.fullmatch(lines[0]):
        lines = lines[1:]
    if len(lines) > 1 and _HALF.fullmatch(lines[0]):
        return f"{lines[0]} {lines[1]}"
    return lines[0] if lines else ""


def _without_reasoning(reply: str) -> str:
    begun = _REASONING_BEGIN.search(reply)
    if begun is not None and reply[: begun.start()].strip():
        return reply[: begun.start()]
    # Some servers put the opening tag into the prompt, so that only the closing one is left.
    ends = [found.end() for found in _REASONING_END.finditer(reply)]
    if ends:
        return reply[ends[-1] :]
    return "" if begun is not None else reply


def _pair(line: str) -> Scores | None:
    found = _PAIR.fullmatch(line)
    return found and Scores(first=float(found["first"]), second=float(found["second"]))


def _labelled(line: str) -> Scores | None:
    found = _TWO_LABELLED.fullmatch(line)
    if found is None or found["one"] == found["two"]:
        return None
    by_label = {found["one"]: float(found["first"]), found["two"]: float(found["second"])}
    return Scores(first=by_label["1"], second=by_label["2"])


def parse_strictly(reply: str) -> Scores | Unparsed:
    r"""Read a reply as the published evaluation does: its first line is two floats and a blank.

    Departs from:
        LLaVA-Med `summarize_gpt_review.py`, whose whole run stops at the first reply that is
        anything else or whose first score is 0; here it is unparsed. Scores are not held to
        [0, 10], as there.

    Example:
        >>> parse_strictly("8 4\nThe first answer ...")
        Scores(first=8.0, second=4.0)
        >>> parse_strictly("8, 4").reason
        "the first line is not two numbers and a blank: '8, 4'"
    """
    line = reply.split("\n", maxsplit=1)[0]
    parts = line.split(" ")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or not all(map(math.isfinite, numbers)):  # noqa: PLR2004 - a pair
        return Unparsed(reason=f"the first line is not two numbers and a blank: '{line[:60]}'")
    if numbers[0] == 0:
        return Unparsed(reason="the first score is 0, so there is no ratio")
    return Scores(first=numbers[0], second=numbers[1])


def rated(scores: Scores | Unparsed, order: Order) -> Rated | Unparsed:
    """Say which score is whose; without a score above 0 for the reference there is no ratio.

    Example:
        >>> rated(Scores(first=8, second=6), "swapped")
        Rated(reference=6, prediction=8)
        >>> rated(Scores(first=0, second=6), "published")
        Unparsed(reason="the reference's score is 0, so there is no ratio")
    """
    if isinstance(scores, Unparsed):
        return scores
    reference, prediction = scores.first, scores.second
    if order == "swapped":
        reference, prediction = prediction, reference
    if reference == 0:
        return Unparsed(reason="the reference's score is 0, so there is no ratio")
    return Rated(reference=reference, prediction=prediction)
