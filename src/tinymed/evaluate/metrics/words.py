"""Words as the honest metrics see them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}
_ARTICLES = frozenset({"a", "an", "the"})
_APOSTROPHES = re.compile("['’ʼ`]")
_THOUSANDS_COMMA = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PERIOD_OUTSIDE_NUMBER = re.compile(r"(?<!\d)\.|\.(?!\d)")


def normalized_words(text: str) -> tuple[str, ...]:
    """Lower-cased words: marks part words, numbers keep their point, articles fall away.

    An article at the very end stays, because there it is a letter ("hepatitis A").
    Accents and vowel signs are kept, so that words of any script stay whole.

    Example:
        >>> normalized_words("The right-sided X–ray, please.")
        ('right', 'sided', 'x', 'ray', 'please')
        >>> normalized_words("**3.5 cm**, 1,000 or 50%"), normalized_words("Two; T2")
        (('3.5', 'cm', '1000', 'or', '50', '%'), ('2', 't2'))
        >>> normalized_words("Crohn's"), normalized_words("Hepatitis A"), normalized_words("?!")
        (('crohns',), ('hepatitis', 'a'), ())
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _THOUSANDS_COMMA.sub("", _APOSTROPHES.sub("", text))
    text = _PERIOD_OUTSIDE_NUMBER.sub(" ", text).replace("%", " % ")
    words = "".join(letter if _belongs_to_a_word(letter) else " " for letter in text).split()
    last = len(words) - 1
    return tuple(
        _NUMBER_WORDS.get(word, word)
        for place, word in enumerate(words)
        if word not in _ARTICLES or (place == last and word == "a")
    )


def _belongs_to_a_word(letter: str) -> bool:
    return letter.isalnum() or letter in ".%" or unicodedata.category(letter).startswith("M")


def find_words(needle: Sequence[str], haystack: Sequence[str]) -> list[int]:
    """Every place where the words of `needle` stand together in `haystack`.

    Example:
        >>> find_words(("left", "lung"), ("left", "left", "lung"))
        [1]
        >>> find_words((), ("left",))
        []
    """
    if not needle:
        return []
    size = len(needle)
    return [
        start
        for start in range(len(haystack) - size + 1)
        if tuple(haystack[start : start + size]) == tuple(needle)
    ]
