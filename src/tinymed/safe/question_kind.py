"""What kind of answer a question asks for: yes or no, one of its choices, or free words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.evaluate.audit.twins import absence_question
from tinymed.safe.question_finding import is_finding
from tinymed.safe.question_language import other_language
from tinymed.safe.question_text import visible_text
from tinymed.safe.safe_answer import QuestionKind

YES_NO = ("yes", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadQuestion:
    """What a question's wording tells about its answer. English; all other questions are open."""

    text: str
    kind: QuestionKind
    choices: tuple[str, ...] = ()
    """What a closed question can be answered with, as the question writes it; yes and no of a
    yes-no question."""
    asks_for_finding: bool = False
    """Whether yes means that something is there, or is so that it should not be."""
    opposite: str | None = None
    """The opposite question, where a rule is sure of one."""


_AUXILIARIES = (
    r"(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|any|anything)"
    r"(?:/(?:is|are|do|does))?"
)
_OPENS_YES_NO = re.compile(rf"(?:[^?]{{1,60}}, )?{_AUXILIARIES}\b", re.IGNORECASE)
_ASKS_FOR_WORDS = re.compile(
    r"(?:in |on |at |to |from |of |for |by |with )?(?:the )?"
    r"(?:what|which|where|why|how|who|whose|when)\b"
    r"|(?:can|could) you (?:please )?(?:tell|say|describe|explain|list|name|report|interpret)\b"
    r"(?!(?: me| us)? (?:if|whether)\b)"
    r"|do you know (?:what|which|where|why|how|who|when)\b",
    re.IGNORECASE,
)
# These ask whether at least one is there: "Is there a mass or an effusion?" is a yes-no question.
_ASKS_WHETHER_ANY = re.compile(
    r"(?:(?:is|are|was|were|is/are|are/is) there|do you (?:see|notice)|can|could|any|has|have|had|"
    r"(?:does|do|did)\b.*\b(?:contain|show|have|demonstrate|reveal|exist|appear|suggest))\b",
    re.IGNORECASE,
)
_SEEN = re.compile(r"\b(?:present|seen|visible|visuali[sz]ed|observed|evident|identified)\b")
_OR = re.compile(r"\b(?:or|vs\.?|versus)\s", re.IGNORECASE)
_MARKS = re.compile(r"\s*[,:;?]\s*(?:or\s+)?|\s+(?:or|vs\.?|versus)\s+", re.IGNORECASE)
_YES_OR_NO = r"(?:yes ?(?:or|/) ?no|y ?/ ?n)"
_TAG = re.compile(rf"(?<=\w)[\s,:;.?(\[-]+(?:{_YES_OR_NO}|or not)[)\]]?[\s?.!]*$", re.IGNORECASE)
_TAG_BEFORE = re.compile(rf"^{_YES_OR_NO}[\s,:;.?-]+(?=\w)", re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r"[?!;]|\.\s")
_BEFORE_A_QUESTION = re.compile(r"\W*(?:\d+[.):]\s*)?(?:and |also |or )?", re.IGNORECASE)
_IS_THERE = re.compile(r"\b(?:is|are) there\b", re.IGNORECASE)
_A_PAIR = 2
_MOST_CHOICES = 6
_LONGEST_CHOICE = 4
_BEFORE_A_CHOICE = """
    a an the in on at of to for from its this that more mostly mainly rather primarily
"""
_OPENING_WORDS = frozenset(_BEFORE_A_CHOICE.split())
# Behind the second choice they belong to both: "an MRI or a CT scan". Other words may belong to
# the second alone: "a pneumonia or pleural effusion".
_BELONGS_TO_BOTH = """
    image images scan scans study film picture view ct mri mr x-ray xray radiograph ultrasound
    side sides lung lungs lobe lobes kidney hemisphere process lesion lesions weighted sequence
    plane matter
"""
_SHARED = frozenset(_BELONGS_TO_BOTH.split())
# Words that are each other's choice whatever stands behind them: "the left or right lobe of …".
# States are so even where at least one is asked for: "Does it appear normal or abnormal?".
_PAIRS_OF_PLACES = """
    left/right upper/lower anterior/posterior superior/inferior medial/lateral proximal/distal
    left-sided/right-sided inside/outside interior/exterior
"""
_PAIRS_OF_STATES = """
    normal/abnormal unilateral/bilateral benign/malignant acute/chronic male/female
    symmetric/asymmetric symmetrical/asymmetrical hyperdense/hypodense cystic/solid
    hyperintense/hypointense homogeneous/heterogeneous focal/diffuse single/multiple
    regular/irregular high/low open/closed intra-axial/extra-axial present/absent
    positive/negative
"""
_PLACES = frozenset(frozenset(pair.split("/")) for pair in _PAIRS_OF_PLACES.split())
_STATES = frozenset(frozenset(pair.split("/")) for pair in _PAIRS_OF_STATES.split())
_NEGATIVES = ("non", "not", "without")


def read_question(question: str) -> ReadQuestion:
    """Tell what kind of answer a question asks for, by its words alone.

    A question that opens as a yes-no question does and offers two things is a choice, unless
    it asks whether any of them is there. Where the choices cannot be told apart surely, the
    question is open, and answered in the model's own words.

    >>> read_question("Is there a pleural effusion?").kind
    'yes-no'
    >>> read_question("CT or MRI?").choices
    ('CT', 'MRI')
    >>> read_question("Is it in the left or right lung?").choices
    ('left', 'right')
    >>> read_question("Which is the biggest in this image, lung, small bowel or heart?").choices
    ('lung', 'small bowel', 'heart')
    >>> read_question("Is there a mass or an effusion?").kind
    'yes-no'
    >>> read_question("Is the heart enlarged or not?").opposite
    'Is the heart not enlarged?'
    >>> read_question("What is abnormal?").kind, read_question("Which plane is this?").kind
    ('open', 'open')
    >>> [read_question(text).asks_for_finding for text in (
    ...     "Is the heart enlarged?", "Is the lung normal?", "Is this a CT?")]
    [True, False, False]
    """
    shown = visible_text(question)
    asked = _TAG.sub("", _TAG_BEFORE.sub("", shown))
    if other_language(asked.casefold()) is not None or _asks_several(asked):
        return ReadQuestion(text=question, kind="open")
    choices = _choices(asked)
    if choices:
        return ReadQuestion(text=question, kind="choice", choices=choices)
    if not _is_yes_no(asked, says_so=asked != shown):
        return ReadQuestion(text=question, kind="open")
    opposite, form = absence_question(asked) or (None, "")
    return ReadQuestion(
        text=question,
        kind="yes-no",
        choices=YES_NO,
        asks_for_finding=opposite is not None and is_finding(asked, opposite=opposite, form=form),
        opposite=opposite,
    )


def _asks_several(asked: str) -> bool:
    """Whether it is several questions in one: a single yes would be of any of them."""
    sentences = [_BEFORE_A_QUESTION.sub("", one, count=1) for one in _SENTENCE_ENDS.split(asked)]
    opened = [one for one in sentences if _OPENS_YES_NO.match(one) or _ASKS_FOR_WORDS.match(one)]
    return len(opened) > 1 or len(_IS_THERE.findall(asked)) > 1


def _is_yes_no(asked: str, *, says_so: bool) -> bool:
    """Whether yes or no answers it; it has no choices that could be told apart.

    Args:
        asked: The question.
        says_so: Whether "yes or no" stood with it.
    """
    if _ASKS_FOR_WORDS.match(asked) or not (says_so or _OPENS_YES_NO.match(asked)):
        return False
    return not _OR.search(asked) or _asks_whether_any(asked)


def _asks_whether_any(asked: str) -> bool:
    return _ASKS_WHETHER_ANY.match(asked) is not None or _SEEN.search(asked) is not None


def _choices(asked: str) -> tuple[str, ...]:
    """What a question offers to choose from; empty where it offers nothing, or not surely."""
    if not _OR.search(asked):
        return ()
    if _ASKS_FOR_WORDS.match(asked):
        return _told_apart(_pieces(asked)[1:])
    if not _OPENS_YES_NO.match(asked):
        return _offered(asked)
    return _told_apart(_run_into(asked, or_any=_asks_whether_any(asked)))


def _pieces(asked: str) -> list[str]:
    return [piece for piece in _MARKS.split(asked.rstrip("?. ")) if piece]


def _offered(asked: str) -> tuple[str, ...]:
    """The choices of a question that is little else: "CT or MRI?", "Mass: left or right?"."""
    if "?" in asked.rstrip("? ."):
        return ()
    pieces = _pieces(asked.rpartition(":")[2])
    choices = _told_apart(pieces)
    if len(choices) == _A_PAIR:
        first, second = pieces[0].split()[-1], pieces[1].split()[0]
        if _are_opposites(first, second, places=True):
            return first, second
    return choices


def _are_opposites(first: str, second: str, *, places: bool) -> bool:
    pair = frozenset((first.casefold(), second.casefold()))
    return pair in _STATES or (pair in _PLACES and places)


def _run_into(asked: str, *, or_any: bool) -> list[str]:
    """The choices that a question runs into: "Is it on the left or the right side?".

    With `or_any` the question may ask whether one of them is there, and only states count.
    """
    # More than one "or" or comma: "Is this T1 weighted, T2 weighted, or FLAIR?" shares a word.
    before, after = map(_plain, pieces) if len(pieces := _pieces(asked)) == _A_PAIR else ([], [])
    if not before or not after:
        return []
    first, second = before[-1], after[0]
    if _are_opposites(first, second, places=not or_any):
        return [first, second]
    return [] if or_any else _side_by_side(before, after)


def _side_by_side(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """The last thing named before "or" and the first behind it, where they are surely alike."""
    first, second = before[-1], after[0]
    if second in _NEGATIVES:
        # "with or without contrast", "contrast or non contrast"
        both = ["with", *after[1:]] if first == "with" else [first]
        return [" ".join(both), " ".join(after[:2])]
    if len(before) > 1 and len(after) > 1 and first == after[1]:
        return [before[-2], second]  # "T1 weighted or T2 weighted"
    is_sure = _SHARED.issuperset(word.casefold() for word in after[1:])
    return [first, second] if is_sure else []


def _plain(piece: str) -> list[str]:
    """The words of a piece, those that may stand before a choice left out at its beginning."""
    words = piece.split()
    while words and words[0].casefold() in _OPENING_WORDS:
        words = words[1:]
    return words


def _told_apart(pieces: Sequence[str]) -> tuple[str, ...]:
    choices = [" ".join(_plain(piece)) for piece in pieces]
    names = {choice.casefold() for choice in choices}
    is_sure = (
        _A_PAIR <= len(choices) <= _MOST_CHOICES
        and len(names) == len(choices)
        and all(0 < len(choice.split()) <= _LONGEST_CHOICE for choice in choices)
    )
    return tuple(choices) if is_sure else ()
