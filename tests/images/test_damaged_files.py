"""A bad file gives one sentence, soon: never a traceback, never a dead process."""

from __future__ import annotations

import os
import struct
import time
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from tinymed.errors import ImageError
from tinymed.images.intake import read_image
from tinymed.images.limits import MAX_FILE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.images.conftest import WriteDicom


def refusal(path: Path) -> str:
    """Read a file that must be refused within two processor seconds; give the sentence."""
    start = time.process_time()
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert time.process_time() - start < 2
    message = str(caught.value)
    assert message.startswith(f"Cannot read {path}: ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


def header(syntax: str) -> bytes:
    """Build the start of a DICOM file up to its data set."""
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = struct.pack("<HH2sH", 2, 0x10, b"UI", len(value)) + value
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(element))
    return b"\0" * 128 + b"DICM" + length + element


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.png")


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    assert "it is a folder" in refusal(tmp_path)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "it is empty" in refusal(tmp_path / "a.png")


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_a_file_without_read_permission_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")

    def denied(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", denied)  # the tests may run as root
    assert "you have no permission" in refusal(tmp_path / "a.png")


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    assert "copy the file elsewhere" in refusal(tmp_path / "a\0.png")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)  # takes no room on the disk
    assert "above the limit of 512 MB" in refusal(tmp_path / "a.png")


def test_a_text_file_named_png_is_said_to_be_text(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("patient,answer\n1,yes\n")
    assert "it is a text file" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GIF89a", "a GIF image"),
        (b"II*\0", "a TIFF image"),
        (b"MM\0*", "a TIFF image"),
        (b"\0\0\0\x18ftypheic", "a HEIC photo"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\0" * 344 + b"n+1\0", "a NIfTI volume"),
    ],
)
def test_an_unsupported_format_is_named(tmp_path: Path, head: bytes, name: str) -> None:
    (tmp_path / "a.png").write_bytes(head + b"\0" * 600)
    assert f"it is {name}, which is not supported" in refusal(tmp_path / "a.png")


def test_noise_is_said_to_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(range(255, -1, -1)) * 4)
    assert "its format is unknown" in refusal(tmp_path / "a.dcm")


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_half_a_picture_is_said_to_be_cut_short(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "a"
    Image.fromarray(noise).save(path, format=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged or cut short" in refusal(path)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_a_picture_of_a_few_pixels_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size).save(tmp_path / "a.png")
    assert f"it is {size[0]} x {size[1]} pixels" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("side", [7100, 12_000, 20_000])
def test_a_png_that_would_unpack_to_a_giant_is_refused(tmp_path: Path, side: int) -> None:
    rows = zlib.compress(b"", 1)
    chunks = b"\x89PNG\r\n\x1a\n"
    size = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    for name, body in ((b"IHDR", size), (b"IDAT", rows), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(name + body))
        chunks += struct.pack(">I", len(body)) + name + body + checksum
    (tmp_path / "a.png").write_bytes(chunks)
    assert "scale it down" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("rows", "columns", "frames"), [(40_000, 40_000, 1), (65_535, 65_535, 1000)]
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_dicom_that_claims_a_giant_is_refused(
    write_dicom: WriteDicom, rows: int, columns: int, frames: int, *, packed: bool
) -> None:
    attributes = {"Rows": rows, "Columns": columns, "NumberOfFrames": frames}
    if packed:
        attributes |= {"syntax": RLELossless, "PixelData": encapsulate([b"\0" * 64])}
    assert "above the limit of 50 million" in refusal(write_dicom(**attributes))


def test_frames_that_are_not_there_are_refused(write_dicom: WriteDicom) -> None:
    path = write_dicom(
        syntax=RLELossless,
        Rows=4096,
        Columns=4096,
        NumberOfFrames=500,
        PixelData=encapsulate([b"\0" * 64]),
    )
    assert "damaged" in refusal(path)


def test_too_few_stored_values_are_refused(write_dicom: WriteDicom) -> None:
    assert "cut short" in refusal(write_dicom(PixelData=b"\0" * 100))


def test_many_bytes_a_pixel_are_refused(write_dicom: WriteDicom) -> None:
    path = write_dicom(Rows=7000, Columns=7000, SamplesPerPixel=3, BitsAllocated=64)
    assert "above the limit of 512 MB" in refusal(path)


def test_a_jpeg_larger_than_its_dicom_header_says_is_refused(
    write_dicom: WriteDicom, tmp_path: Path
) -> None:
    Image.new("L", (6000, 6000)).save(tmp_path / "a.jpg")
    path = write_dicom(
        syntax=JPEGBaseline8Bit,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=encapsulate([(tmp_path / "a.jpg").read_bytes()]),
    )
    assert "32 x 32 pixels but its compressed picture 6000 x 6000" in refusal(path)


def test_a_jpeg_2000_larger_than_its_dicom_header_says_is_refused(
    write_dicom: WriteDicom,
) -> None:
    size = struct.pack(">HHHH8IH", 0xFF4F, 0xFF51, 41, 0, 60_000, 60_000, 0, 0, 9, 9, 0, 0, 1)
    path = write_dicom(syntax=JPEG2000Lossless, PixelData=encapsulate([size + b"\0" * 20]))
    assert "32 x 32 pixels but its compressed picture 60000 x 60000" in refusal(path)


def test_a_deflated_file_that_swells_to_two_gigabytes_is_refused(tmp_path: Path) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # After a full flush the stream may repeat: 2048 times one mebibyte of zeros.
    block = deflate.compress(b"\0" * 2**20) + deflate.flush(zlib.Z_FULL_FLUSH)
    path = tmp_path / "a.dcm"
    path.write_bytes(header(DeflatedExplicitVRLittleEndian) + block * 2048)
    assert "it inflates to more than 256 MB" in refusal(path)


def test_hundreds_of_thousands_of_elements_are_refused_soon(tmp_path: Path) -> None:
    elements = b"".join(
        struct.pack("<HH2sH", 0x0009 + 2 * (number >> 15), 0x1000 + number % 2**15, b"LO", 0)
        for number in range(300_000)
    )
    (tmp_path / "a.dcm").write_bytes(header("1.2.840.10008.1.2.1") + elements)
    assert "more than 100,000 elements" in refusal(tmp_path / "a.dcm")


def test_sequences_nested_hundreds_deep_are_refused(tmp_path: Path) -> None:
    opened = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    opened += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    (tmp_path / "a.dcm").write_bytes(header("1.2.840.10008.1.2.1") + opened * 2000)
    assert "nested more than 64 deep" in refusal(tmp_path / "a.dcm")


def test_an_element_that_claims_four_gigabytes_is_refused(tmp_path: Path) -> None:
    element = struct.pack("<HH2sHI", 0x0008, 0x0016, b"UN", 0, 0xFFFFFFFE) + b"1.2"
    (tmp_path / "a.dcm").write_bytes(header("1.2.840.10008.1.2.1") + element)
    refusal(tmp_path / "a.dcm")


@pytest.mark.parametrize("rows", ["", "many", [32, 32]])
def test_rows_that_are_no_number_are_refused(write_dicom: WriteDicom, rows: object) -> None:
    path = write_dicom()
    content = path.read_bytes()
    value = {"": b"", "many": b"many"}.get(rows if isinstance(rows, str) else "x", b"\x20\0\x20\0")
    old = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 32)
    new = struct.pack("<HH2sH", 0x0028, 0x0010, b"LO" if rows == "many" else b"US", len(value))
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new + value))
    assert "damaged" in refusal(path)


def test_no_flipped_byte_ends_in_a_traceback(write_dicom: WriteDicom) -> None:
    path = write_dicom(WindowCenter=512, WindowWidth=100, PixelPaddingValue=3)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for position in random.integers(128, len(content) - 2048, 150):
        broken = bytearray(content)
        broken[position] ^= int(random.integers(1, 256))
        path.write_bytes(broken)
        try:
            assert read_image(path).pixels.dtype == np.uint8
        except ImageError as error:
            assert str(error).startswith("Cannot read")  # noqa: PT017 - both outcomes pass
