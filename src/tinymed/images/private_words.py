"""Words that tell who the patient is, so that they can be kept out of logs."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset

from tinymed.images.dicom_attribute import values

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ResponsiblePerson",
    "ReferringPhysicianName",
)
_NUMBERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "AdmissionID")
_OTHER_NUMBERS = "OtherPatientIDsSequence"
_BIRTH_DATE = "PatientBirthDate"
PRIVATE_KEYWORDS = ("SpecificCharacterSet", *_NAMES, *_NUMBERS, _OTHER_NUMBERS, _BIRTH_DATE)

_MAX_ITEMS: Final = 16
MAX_WORDS: Final = 200
MAX_WORD_CHARACTERS: Final = 200
_MIN_CHARACTERS: Final = 3
_DATE_DIGITS: Final = 8
_WITHOUT_SPACES: Final = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA")
"""Scripts in which a name of two characters is whole, by the start of Unicode's names."""


def private_words(dataset: Dataset) -> tuple[str, ...]:
    """Collect the words of names and numbers that belong to one person.

    Of the patient's, mother's, responsible person's and referring physician's names, in all
    scripts that the file gives them in; of the patient's, the admission's and the request's
    numbers; and of the birth date in digits, in the orders that people write. Not of the
    institution: its words ("chest", "clinic") are everybody's.

    Returns:
        Single words and whole names and numbers ("wang^xiaodong"), sorted; each NFKC-normalized
        and casefolded, of three characters at least, or of two in Chinese, Japanese or Korean
        script.
    """
    found: set[str] = set()
    for keyword in _NAMES:
        for text in _texts(dataset, keyword):
            for in_one_script in text.split("="):
                found |= _parts_and_whole(in_one_script)
    for text in _numbers(dataset):
        found |= _parts_and_whole(text)
    for text in _texts(dataset, _BIRTH_DATE):
        found |= _dates(text) | _parts_and_whole(text)
    kept = (word for word in found if _is_long_enough(word))
    return tuple(sorted(word[:MAX_WORD_CHARACTERS] for word in kept))[:MAX_WORDS]


def _parts_and_whole(text: str) -> set[str]:
    words = words_of(text)
    # Initials alone are everybody's.
    whole = text if any(len(word) > 1 or _is_unspaced(word) for word in words) else ""
    return words | {"".join(filter(str.isprintable, _folded(whole))).strip()}


def words_of(text: str) -> set[str]:
    """Split a text into casefolded words, whatever its script.

    >>> sorted(words_of("Buc^Jérôme"))
    ['buc', 'jérôme']
    """
    # Letters, the marks on them and digits make words; a regular expression's \w leaves out
    # the marks and cuts Hindi names to pieces.
    return set(
        "".join(
            character if unicodedata.category(character)[0] in "LMN" else " "
            for character in _folded(text)
        ).split()
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_long_enough(word: str) -> bool:
    return len(word) >= (_MIN_CHARACTERS - 1 if _is_unspaced(word) else _MIN_CHARACTERS)


def _is_unspaced(word: str) -> bool:
    return all(unicodedata.name(character, "").startswith(_WITHOUT_SPACES) for character in word)


def _numbers(dataset: Dataset) -> Iterator[str]:
    for keyword in _NUMBERS:
        yield from _texts(dataset, keyword)
    for item in values(dataset, _OTHER_NUMBERS)[:_MAX_ITEMS]:
        if isinstance(item, Dataset):
            yield from _texts(item, "PatientID")


def _dates(text: str) -> set[str]:
    """A date's year, month and day in the orders that people write, with zeros and without.

    >>> sorted(_dates("19700102"))
    ['01021970', '02011970', '121970', '19700102', '197012', '211970']
    """
    digits = "".join(filter(str.isdecimal, _folded(text)))
    if len(digits) != _DATE_DIGITS:
        return set()
    found = set()
    year, month, day = digits[:4], digits[4:6], digits[6:]
    for one, other in ((month, day), (month.lstrip("0"), day.lstrip("0"))):
        found |= {year + one + other, other + one + year, one + other + year}
    return found


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    return [str(value) for value in values(dataset, keyword)]
