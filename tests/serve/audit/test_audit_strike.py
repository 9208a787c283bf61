"""Names and numbers of a patient are struck out, and the rest of the text stays."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from tinymed.images.private_words import private_words
from tinymed.serve.audit import strike
from tinymed.serve.audit.strike import STRUCK_OUT as X
from tinymed.serve.audit.strike import struck_out

_NAME = ["DOE^JANE^MARIE", "CR-2024-001234", "12345"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is jane's heart enlarged?", f"Is {X}'s heart enlarged?"),
        ("Jane Marie Doe, 12345", f"{X} {X}, {X}"),
        ("JaneDoe", X),
        ("jane.doe@example.org", f"{X}@example.org"),
        ("ID 12-345 and 12 345 and 1.2.3.4.5", f"ID {X} and {X} and {X}"),
        ("accession CR 2024 001234", f"accession {X}"),
        ("just 001234", f"just {X}"),
        ("seen in 2024, 12 mm, 123456", "seen in 2024, 12 mm, 123456"),
        ("ＪＡＮＥ and Jané", f"{X} and {X}"),
        ("١٢٣٤٥", X),
        ("12 ---- 345", "12 ---- 345"),
        ("a doer is no match", "a doer is no match"),
        ("", ""),
    ],
)
def test_names_and_numbers(text: str, expected: str) -> None:
    assert struck_out(text, _NAME) == expected


@pytest.mark.parametrize(
    ("private", "text", "expected"),
    [
        ("Иванов^Пётр", "У Иванов петр пневмония?", f"У {X} пневмония?"),
        ("አበበ^ቢቂላ", "አበበ ሳንባ ምች አለበት?", f"{X} ሳንባ ምች አለበት?"),
        ("राम^सीता", "क्या सीता का हृदय बड़ा है?", f"क्या {X} का हृदय बड़ा है?"),
        ("Wang^XiaoDong=王^小东", "王小东先生的肺", f"{X}先生的肺"),
        ("Wang^XiaoDong=王^小东", "Xiao Dong's lung", f"{X}'s lung"),
        ("สมชาย^ใจดี", "ปอดของสมชายเป็นอย่างไร", f"ปอดของ{X}เป็นอย่างไร"),
        ("محمد^علي", "هل قلب محمد كبير؟", f"هل قلب {X} كبير؟"),
        ("O'Brien^Seán", "obrien and SEAN", f"{X} and {X}"),
        ("Straße^K", "STRASSE", X),
        ("Li^Wei", "Li has a wei, LiWei", f"{X} has a {X}, {X}"),
        ("de la Cruz^J", "un signe de la fracture", "un signe de la fracture"),
        ("de la Cruz^J", "Cruz", X),
        ("^^^", "nothing", "nothing"),
        ("", "nothing", "nothing"),
        ("7", "7 mm", "7 mm"),
    ],
)
def test_in_any_script(private: str, text: str, expected: str) -> None:
    assert struck_out(text, [private]) == expected


@pytest.mark.parametrize(
    "born", ["1957-10-04", "4/10/1957", "04.10.1957", "10-4-1957", "04 10 1957", "19571004"]
)
def test_a_birth_date_is_struck_out_in_whatever_order(born: str) -> None:
    dataset = Dataset()
    dataset.PatientBirthDate = "19571004"
    words = private_words(dataset)
    assert struck_out(f"Born {born}, 4.10 cm, film of 1957.", words) == (
        f"Born {X}, 4.10 cm, film of 1957."
    )


def test_without_private_words_the_text_stays() -> None:
    assert struck_out("Is Jane here?", []) == "Is Jane here?"


def test_a_name_over_two_paragraphs_is_not_put_together() -> None:
    assert struck_out("12\n345", ["12345"]) == "12\n345"


def test_what_is_searched_for_is_not_looked_through_anew_at_each_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = []

    def counted(part: str) -> bool:
        looks.append(part)
        return is_unspaced(part)

    is_unspaced = strike._is_unspaced
    monkeypatch.setattr(strike, "_is_unspaced", counted)
    nums = []
    for text in ("heart", "heart " * 500):
        looks.clear()
        assert struck_out(text, [*_NAME, "王^小东"]) == text
        nums.append(len(looks))
    assert nums[0] == nums[1]
