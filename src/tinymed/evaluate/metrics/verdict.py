"""What an answer in free words decides: yes, no, one option, or nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from tinymed.evaluate.metrics.words import find_words, normalized_words

_SPEAKER = re.compile(
    r"^\W*(?:(?:(?:human|user|assistant|answer|response)\s*:|(?:the )?answer is\b)\W*)+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!\d)[.!?;\n]+(?!\d)|(?<=\d)[.!?;\n]+(?=\s|$)")

# Read on normalized words: apostrophes and articles are gone.
_REFUSAL = re.compile(
    r"\b(?:"
    r"im sorry|i am sorry|i apologi[sz]e|as an ai|language model|"
    r"not sure|unsure|uncertain|undetermined|indeterminate|inconclusive|"
    r"(?:dont|do not|didnt|did not) (?:know|have)|insufficient information|more information|"
    r"(?:cannot|cant|can not|could not|couldnt|unable to|not able to|not possible to|"
    r"impossible to) (?:\w+ )?(?:answer|access|determine|tell|say|judge|decide|provide|assist|"
    r"help|diagnose|interpret|analy[sz]e|assess|evaluate|know|see (?:this |your |any )?image|"
    r"view (?:this |your |any )?image|be (?:answered|determined|assessed|evaluated|judged))"
    r")\b"
)
_NEGATIVE_STATEMENT = re.compile(
    r"^(?:based on (?:\w+ ){1,6})?(?:there (?:is|are|was|were) (?:no|not)\b|"
    r"there (?:isnt|arent|wasnt|werent)\b|"
    r"(?:no|without) (?:evidence|sign|signs)\b|(?:\w+ ){0,3}shows? no\b)"
)
_NO_AS_DETERMINER = re.compile(
    r"\W*no\s+(?!(?:the|this|that|these|those|it|there|they|he|she|i|we)\b)\w", re.IGNORECASE
)
_LONGEST_LITTLE_WORD = 3
_SAYS_NOTHING = frozenset({"there", "this", "these", "image", "evidence", "sign", "signs"})
_ASKS_WHETHER_THERE_IS = re.compile(
    r"^(?:(?:is|are|was|were) there|(?:does|do|did|can|could|has|have)\b|"
    r"(?:is|are) \w+(?: \w+)* (?:present|seen|visible|visualized|identified))"
)
_ASKS_FOR_THE_ABSENCE = re.compile(
    r"\b(?:no|not|without|absent|absence|free of|normal|normally|healthy|clear|intact|"
    r"unremarkable|ruled out|lack|missing)\b"
)


def is_refusal(text: str) -> bool:
    """Whether the answer is empty or says that it cannot answer.

    >>> is_refusal("I'm sorry, I cannot see the image."), is_refusal(" ")
    (True, True)
    >>> is_refusal("I cannot answer: yes"), is_refusal("It cannot be determined.")
    (True, True)
    >>> is_refusal("No, the optic nerve cannot be seen"), is_refusal("not enlarged")
    (False, False)
    """
    words = normalized_words(text)
    return not words or _REFUSAL.search(" ".join(words)) is not None


def yes_or_no(text: str, question: str = "") -> Literal["yes", "no"] | None:
    """The verdict of an answer, or None where it gives none or two.

    Whole words only. A verdict opens the answer or one of its sentences; "there is no …"
    decides too, but only if the question asks whether that is there. "No abnormality" is
    not a "no" to "Is it normal?". Refusals, both options named in one breath and verdicts
    that contradict each other decide nothing.

    >>> yes_or_no("Human: Yes, there is something not normal"), yes_or_no("NO.")
    ('yes', 'no')
    >>> yes_or_no("There is no fracture.", "Is there a fracture?")
    'no'
    >>> yes_or_no("There is no fracture.", "Is the bone normal?") is None
    True
    >>> yes_or_no("No abnormality", "Is there an abnormality?")
    'no'
    >>> yes_or_no("No abnormality", "Is the image normal?") is None
    True
    >>> yes_or_no("Is there a nodule? Yes."), yes_or_no("I think so. Yes")
    ('yes', 'yes')
    >>> [yes_or_no(text) for text in ("abnormal", "nodule", "eyes", "none", "not known", "")]
    [None, None, None, None, None, None]
    >>> [yes_or_no(text) for text in ("yes or no", "[Yes, No]", "Yes. No.", "yes and no")]
    [None, None, None, None]
    >>> yes_or_no("I'm sorry, I cannot see it. No") is None
    True
    >>> yes_or_no("No doubt about an effusion") is None
    True
    """
    if is_refusal(text):
        return None
    asked = " ".join(normalized_words(question))
    pieces = [piece for piece in _sentences(text) if normalized_words(piece)]
    verdicts = {_opening_verdict(piece, asked) for piece in pieces} - {None}
    if not verdicts:
        return "no" if pieces and _denies(pieces[0], asked) else None
    if verdicts == {"yes"}:
        return "yes"
    return "no" if verdicts == {"no"} else None


def _sentences(text: str) -> list[str]:
    return _SENTENCE_END.split(_SPEAKER.sub("", text.strip()))


def _opening_verdict(sentence: str, asked: str) -> str | None:
    """The word a sentence opens with, "both" where it names both options, else None."""
    words = normalized_words(sentence)
    other = {"yes": "no", "no": "yes"}.get(words[0])
    if other is None or words[1:2] == ("doubt",):
        return None
    if _NO_AS_DETERMINER.match(sentence) and _ASKS_FOR_THE_ABSENCE.search(asked):
        return None
    next_words = [word for word in words[1:4] if word not in ("or", "and")]
    return "both" if next_words[:1] == [other] else words[0]


def _denies(sentence: str, asked: str) -> bool:
    """Whether the sentence says that what was asked for is not there."""
    if not _ASKS_WHETHER_THERE_IS.search(asked) or _ASKS_FOR_THE_ABSENCE.search(asked):
        return False
    words = normalized_words(sentence)
    named = {word for word in words if len(word) > _LONGEST_LITTLE_WORD} - _SAYS_NOTHING
    return (
        _NEGATIVE_STATEMENT.search(" ".join(words)) is not None
        and not {"but", "however", "except"}.intersection(words)
        and not named.isdisjoint(asked.split())
    )


def options(question: str) -> list[tuple[str, ...]]:
    """The choices a question offers, each without the words that all of them share.

    >>> options("Which is bigger in this image, lung, small bowel or heart?")
    [('lung',), ('small', 'bowel'), ('heart',)]
    >>> options("Is the colon more prominent on the patient's right or left side?")
    [('right',), ('left',)]
    >>> options("Which plane is this, transverse plane or coronal plane?")
    [('transverse',), ('coronal',)]
    >>> options("Is this an MRI or a CT scan?"), options("Is there a mass?")
    ([('mri',), ('ct',)], [])
    """
    head, separator, tail = question.rpartition(" or ")
    if not separator:
        return []
    before = [normalized_words(piece) for piece in re.split(r"[,:;?]|\bor\b", head)]
    before = [words for words in before if words]
    after = normalized_words(re.split(r"[,:;?]", tail)[0])
    # A choice that the question runs into or out of is one word; one between marks is whole.
    lists = len(before) > 1
    choices = [_last_choice(words, whole=lists) for words in (before[1:] if lists else before)]
    choices.append(after if lists and len(after) <= _LONGEST_CHOICE else after[:1])
    return _distinctive([choice for choice in choices if choice])


_LONGEST_CHOICE = 3


def _last_choice(words: tuple[str, ...], *, whole: bool) -> tuple[str, ...]:
    return words if whole and len(words) <= _LONGEST_CHOICE else words[-1:]


def _distinctive(choices: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    shared = set(choices[0]).intersection(*choices[1:]) if len(choices) > 1 else set()
    kept = [tuple(word for word in choice if word not in shared) for choice in choices]
    return kept if all(kept) and len(kept) > 1 else []


def named(answer: Sequence[str], choices: Sequence[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The choices that an answer names; the longest name counts, and "not left" names nothing.

    >>> named(("in", "upper", "left"), [("left",), ("upper", "left")])
    {('upper', 'left')}
    >>> named(("not", "left", "but", "right"), [("left",), ("right",)])
    {('right',)}
    """
    words = list(answer)
    found = set()
    for choice in sorted(choices, key=len, reverse=True):
        for place in find_words(choice, words):
            if place == 0 or words[place - 1] not in ("not", "no", "non"):
                found.add(choice)
            words[place : place + len(choice)] = [""] * len(choice)
    return found
