"""The published normalizer, kept to the letter so that published numbers can be compared."""

from __future__ import annotations

import re
from functools import lru_cache

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_ANY_MARK = re.compile(f"[{re.escape(_MARKS)}]")
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_PERIOD_BEFORE_NO_DIGIT = re.compile(r"\.(?!\d)")
# The original passes a regex flag where the count belongs; the flag's value is 32.
_MOST_PERIODS_REMOVED = 32

_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
} | {"none": "0"}
_ARTICLES = frozenset({"a", "an", "the"})

# Every expansion that a lower-cased word can reach; its keys are itself less one apostrophe.
_EXPANSIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't
    mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't
    she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
    someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've
    we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've
    who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll
    y'all'd've you'd you'd've you'll you're you've
"""


def _contractions() -> dict[str, str]:
    table = {
        expansion[:place] + expansion[place + 1 :]: expansion
        for expansion in _EXPANSIONS.split()
        for place, letter in enumerate(expansion)
        if letter == "'"
    }
    # The published table has this one pair the wrong way round.
    return table | {"somebody'd": "somebodyd"}


_CONTRACTIONS = _contractions()


# Every published metric normalizes the same two texts anew.
@lru_cache(maxsize=4096)
def normalize(text: str) -> str:
    """Normalize as the VQA-style scorers of LLaVA-Med, TinyLLaVA-Med and Med-MoE do.

    Used only by the published metrics. Its oddities are part of the published numbers:
    a mark that touches a space anywhere is deleted everywhere and otherwise becomes a
    space, a digit-comma-digit anywhere deletes every mark, "none" becomes "0", and the
    letter "a" is an article. Accents, markdown and unicode dashes are left alone.

    Source:
        LLaVA-Med v1.0.0 `llava/eval/eval_metrics/glossary.py`; written anew from its rules.

    Example:
        >>> normalize("x-ray"), normalize("x-ray - chest")
        ('x ray', 'xray chest')
        >>> normalize("right-sided 1,000"), normalize("v.2"), normalize("T.B.")
        ('rightsided 1000', 'v.2', 'tb')
        >>> normalize("No, there is none"), normalize("a/b"), normalize("dont")
        ('no there is 0', 'b', "don't")
    """
    delete_all = _DIGIT_COMMA_DIGIT.search(text) is not None
    stripped = text
    for mark in set(_ANY_MARK.findall(text)):
        touches_space = mark + " " in text or " " + mark in text
        stripped = stripped.replace(mark, "" if touches_space or delete_all else " ")
    stripped = _PERIOD_BEFORE_NO_DIGIT.sub("", stripped, count=_MOST_PERIODS_REMOVED)
    words = (_NUMBER_WORDS.get(word, word) for word in stripped.lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
