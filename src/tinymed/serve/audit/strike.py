"""A patient's name and numbers are struck out of what is written."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

STRUCK_OUT = "[struck out]"
_MAX_WORDS = 12
"""Of a name or number, as it may be split in a text."""
_MAX_GAP = 3
"""Characters between two words of it."""
_MIN_DIGITS = 5
"""Of a part of a number that is struck out without the rest."""
_SHORT = 2
"""Letters of a name that may also be a word of the language."""
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts, as Unicode names their letters, that put no blanks between words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    start: int
    end: int
    folded: str
    is_capitalised: bool


def struck_out(text: str, private_words: Sequence[str]) -> str:
    """Replace a patient's name and numbers, as DICOM or people write them, by "[struck out]".

    Letters are compared without case, accents and width, digits by value. A name is found whole,
    by any two of its parts side by side in any order, and by any one of three letters or more;
    a part of two letters alone only where it is capitalised (Li, but not de); a single letter
    never. A number is found whole, however it is split (12-345 67). In scripts without blanks
    between words it is enough that the text holds them.

    >>> struck_out("Is Jane's heart, ID 12-345, enlarged?", ["DOE^JANE", "12345"])
    "Is [struck out]'s heart, ID [struck out], enlarged?"
    """
    alone: set[str] = set()
    joined: set[str] = set()
    for private in private_words:
        parts = [word.folded for word in _words(private)]
        joined.add("".join(parts))
        joined.update(
            one + other
            for one, other in itertools.permutations(parts[:_MAX_WORDS], 2)
            if max(len(one), len(other)) > _SHORT or _is_unspaced(one)  # not: de la
        )
        alone.update(part for part in parts if not _is_number(part) or len(part) >= _MIN_DIGITS)
    alone |= joined
    spans = list(_spans(text, {part for part in alone if len(part) >= _SHORT}))
    for start, end in reversed(spans):
        text = text[:start] + STRUCK_OUT + text[end:]
    return text


def _spans(text: str, private: set[str]) -> Iterator[tuple[int, int]]:
    """Where private words stand, in order and without overlap."""
    words = list(_words(text))
    longest = max(map(len, private), default=0)
    unspaced = _by_first_letter(filter(_is_unspaced, private))
    position = 0
    while position < len(words):
        count = _num_matching(text, words[position : position + _MAX_WORDS], private, longest)
        if count:
            yield words[position].start, words[position + count - 1].end
        else:
            yield from _spans_inside(text, words[position], unspaced)
        position += max(1, count)


def _num_matching(text: str, words: Sequence[_Word], private: set[str], longest: int) -> int:
    """How many words from the first on are together a private one; as many as can be."""
    joined, count = "", 0
    for index, word in enumerate(words):
        joined += word.folded
        if len(joined) > longest or (index and not _is_near(text, words[index - 1], word)):
            break
        is_short = len(joined) == _SHORT and (
            word.folded.isdecimal() or not words[0].is_capitalised
        )
        if joined in private and not is_short:
            count = index + 1
    return count


def _by_first_letter(parts: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in parts:
        found.setdefault(part[0], []).append(part)
    return found


def _spans_inside(
    text: str, word: _Word, unspaced: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, int]]:
    """Private words inside a word of a script that puts no blanks between words.

    Args:
        text: Where the word stands.
        word: The word.
        unspaced: Private words of such scripts by their first letters.
    """
    if not unspaced:
        return
    folded, places = "", []
    for place in range(word.start, word.end):
        piece = _folded(text[place])
        folded += piece
        places += [place] * len(piece)
    start = 0
    while start < len(folded):
        found = max(
            (part for part in unspaced.get(folded[start], ()) if folded.startswith(part, start)),
            key=len,
            default="",
        )
        if found:
            yield places[start], places[start + len(found) - 1] + 1
        start += max(1, len(found))


def _words(text: str) -> Iterator[_Word]:
    """Runs of letters, digits and the marks upon them."""
    start = None
    for place, character in enumerate(text + " "):
        if unicodedata.category(character)[0] in "LNM":
            start = place if start is None else start
        elif start is not None:
            word = text[start:place]
            folded = "".join(map(_folded, word))
            capital = word[0].lower() == word[0].upper() or word[0].isupper()
            yield _Word(start=start, end=place, folded=folded, is_capitalised=capital)
            start = None


def _folded(character: str) -> str:
    """A character without case, accent and width; a digit of any script as 0 to 9."""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKD", character.casefold())
    return "".join(one for one in plain if unicodedata.category(one) != "Mn").casefold()


def _is_near(text: str, before: _Word, after: _Word) -> bool:
    gap = text[before.end : after.start]
    return len(gap) <= _MAX_GAP and "\n" not in gap


def _is_number(part: str) -> bool:
    return any(character.isdecimal() for character in part)


def _is_unspaced(part: str) -> bool:
    return any(unicodedata.name(character, "").startswith(_UNSPACED) for character in part)
