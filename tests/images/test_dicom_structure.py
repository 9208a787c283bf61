"""A DICOM file's elements are counted, whatever its encoding."""

from __future__ import annotations

import struct
import sys
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

sys.path.insert(0, str(Path(__file__).parent))

from malformed import UNDEFINED, before_data_set, dicom, empty_elements, nested

from tinymed.errors import ImageError
from tinymed.images import limits
from tinymed.images.dicom_structure import checked_structure


def deep(depth: int) -> list[Dataset]:
    """Nest sequences in each other, with something in each."""
    item = Dataset()
    item.ImageComments = "deepest"
    for _ in range(depth - 1):
        outer = Dataset()
        outer.ImageComments = "around"
        outer.ContentSequence = [item]
        item = outer
    return [item]


@pytest.mark.parametrize("is_defined", [True, False])
def test_as_many_sequences_as_allowed_are_passed_and_one_more_is_not(*, is_defined: bool) -> None:
    checked_structure(nested(limits.MAX_NESTING, is_defined=is_defined))
    with pytest.raises(ImageError, match="nested more than 64 deep"):
        checked_structure(nested(limits.MAX_NESTING + 1, is_defined=is_defined))


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_encoding_is_walked_through(syntax: str) -> None:
    checked_structure(dicom(syntax=syntax, ContentSequence=deep(64)))
    with pytest.raises(ImageError, match="nested more than 64 deep"):
        checked_structure(dicom(syntax=syntax, ContentSequence=deep(65)))


def test_sequences_beside_each_other_are_not_in_each_other() -> None:
    many = [*deep(60), *deep(60), *deep(60)]
    checked_structure(dicom(ContentSequence=many, OtherPatientIDsSequence=deep(60)))


def test_as_many_elements_as_allowed_are_passed_and_some_more_are_not() -> None:
    checked_structure(before_data_set(empty_elements(limits.MAX_ELEMENTS - 50)))
    with pytest.raises(ImageError, match="more than 100,000 elements"):
        checked_structure(before_data_set(empty_elements(limits.MAX_ELEMENTS)))


def test_elements_of_the_file_meta_group_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymed.images.dicom_structure.MAX_ELEMENTS", 500)
    meta = b"".join(struct.pack("<HH2sH", 2, 0x100, b"UI", 0) for _ in range(600))
    with pytest.raises(ImageError, match="elements"):
        checked_structure(b"\0" * 128 + b"DICM" + meta)


def test_fragments_of_compressed_pixels_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymed.images.dicom_structure.MAX_ELEMENTS", 500)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, UNDEFINED)
    pixels += (struct.pack("<HHI", 0xFFFE, 0xE000, 4) + b"abcd") * 600
    with pytest.raises(ImageError, match="elements"):
        checked_structure(before_data_set(pixels))


def test_an_unknown_kind_of_value_hides_nothing_behind_it() -> None:
    hidden = struct.pack("<HH2sH", 0x0006, 0x0001, b"ZZ", 2) + b"\0\0" + empty_elements(100_001)
    with pytest.raises(ImageError, match="elements"):
        checked_structure(before_data_set(hidden))


def test_pixels_that_look_like_elements_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymed.images.dicom_structure.MAX_ELEMENTS", 500)
    checked_structure(dicom(PixelData=empty_elements(1000)))


def test_compressed_pixels_that_look_like_sequences_are_not_entered() -> None:
    opened = struct.pack("<HH2sHI", 0x0006, 0x0010, b"SQ", 0, UNDEFINED) * 100
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, UNDEFINED)
    pixels += struct.pack("<HHI", 0xFFFE, 0xE000, len(opened)) + opened
    checked_structure(before_data_set(pixels))


def test_a_deflated_file_comes_back_inflated_with_the_same_values() -> None:
    path = Path(str(get_testdata_file("image_dfl.dcm", download=False)))
    inflated = dcmread(BytesIO(checked_structure(path.read_bytes())))
    assert inflated == dcmread(path)
    assert inflated.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_a_file_cut_anywhere_is_left_to_its_reader(length: int) -> None:
    content = nested(3)[:length]
    assert checked_structure(content) == content


def test_every_file_that_pydicom_ships_is_within_the_limits() -> None:
    folder = Path(str(get_testdata_file("CT_small.dcm", download=False))).parent
    num_files = 0
    for path in folder.rglob("*.dcm"):
        checked_structure(path.read_bytes())
        num_files += 1
    assert num_files > 70
