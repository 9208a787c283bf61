"""Whoever the patient is, their words are known, so that they can be kept out of logs."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

sys.path.insert(0, str(Path(__file__).parent))

from malformed import dicom, replaced

from tinymed.images.private_words import private_words
from tinymed.images.receive import receive_image

NAMES = {
    "chrArab": {"قباني", "لنزار"},
    "chrFren": {"buc", "jérôme"},
    "chrGerm": {"äneas", "rüdiger"},
    "chrGreek": {"διονυσιοσ"},
    "chrH31": {"yamada", "tarou", "山田", "太郎", "やまだ", "たろう"},
    "chrH32": {"ヤマダ", "タロウ", "山田", "太郎", "やまだ", "たろう"},
    "chrHbrw": {"שרון", "דבורה"},
    "chrI2": {"hong", "gildong", "吉洞", "길동"},
    "chrRuss": {"люкceмбypг"},
    "chrX1": {"wang", "xiaodong", "小東"},
    "chrX2": {"wang", "xiaodong", "小东"},
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_known_in_every_script_that_the_file_has_it_in(name: str) -> None:
    (path,) = get_charset_files(f"{name}.dcm")
    received = receive_image(Path(path).read_bytes())
    assert NAMES[name] <= set(received.private_words)


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        (
            "PatientName",
            "O'Brien-Smith^Mary Ann",
            {"brien", "smith", "mary", "ann", "o'brien-smith^mary ann"},
        ),
        ("PatientName", "शर्मा^प्रिया", {"शर्मा", "प्रिया", "शर्मा^प्रिया"}),
        ("PatientName", "Li^Na", {"li^na"}),
        ("PatientName", "Wang^Dong=王^东", {"wang", "dong", "wang^dong", "王^东"}),
        (
            "OtherPatientNames",
            ["Doe^Jane", "Roe^Janet"],
            {"doe", "jane", "roe", "janet", "doe^jane", "roe^janet"},
        ),
        ("PatientMotherBirthName", "Miller", {"miller"}),
        ("ReferringPhysicianName", "Dr^House", {"house", "dr^house"}),
        ("PatientID", "AB-12/345", {"345", "ab-12/345"}),
        ("PatientID", "12-34-56", {"12-34-56"}),
        ("OtherPatientIDs", ["P001", "P002"], {"p001", "p002"}),
        ("AccessionNumber", "ACC0042", {"acc0042"}),
        (
            "PatientBirthDate",
            "19700102",
            {"19700102", "02011970", "01021970", "197012", "211970", "121970"},
        ),
        ("PatientName", "", set()),
        ("PatientName", "A^B", set()),
        ("PatientID", "7", set()),
        ("InstitutionName", "Chest Clinic", set()),
    ],
)
def test_words_of_three_letters_are_taken_from_names_and_numbers(
    keyword: str, value: object, words: set[str]
) -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    setattr(dataset, keyword, value)
    assert set(private_words(dataset)) == words


def test_numbers_of_other_hospitals_count() -> None:
    item = Dataset()
    item.PatientID = "XY77"
    dataset = Dataset()
    dataset.OtherPatientIDsSequence = [item]
    assert private_words(dataset) == ("xy77",)


def test_a_name_of_many_words_stays_short() -> None:
    old = struct.pack("<HHI", 0x10, 0x10, 4) + b"Doe "
    value = b" ".join(b"word%d" % number for number in range(100_000))
    new = struct.pack("<HHI", 0x10, 0x10, len(value)) + value
    content = replaced(dicom(syntax=ImplicitVRLittleEndian, PatientName="Doe "), old, new)
    words = receive_image(content).private_words
    assert len(words) == 200
    assert max(map(len, words)) <= 200


def test_what_cannot_be_printed_is_left_out() -> None:
    dataset = Dataset()
    dataset.add_new(0x00100020, "UT", "ab\x1b[31m\ncd\u202e1234")
    assert all(word.isprintable() for word in private_words(dataset))


def test_a_picture_is_shown_whatever_its_name_is_made_of() -> None:
    content = dicom(PatientName="Doe^Jane", SpecificCharacterSet="ISO_IR 192")
    for broken in (
        content.replace(b"Doe^Jane", b"\xff\xfe\x1b$B\xff\0\0"),
        content.replace(b"ISO_IR 192", b"ISO_IR 999"),
        content.replace(b"ISO_IR 192", b"\x1b\xff\0\0\0\0\0\0\0\0"),
    ):
        assert broken != content
        assert receive_image(broken).image.pixels.shape == (32, 32, 3)
