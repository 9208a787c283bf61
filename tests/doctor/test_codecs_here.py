"""Kinds of image files: told as the intake would find them."""

from __future__ import annotations

import pytest
from PIL import Image
from pydicom import uid
from pydicom.pixels.decoders import base

from tinymed.doctor import codecs
from tinymed.doctor.codecs import DICOM, examine_codecs


def test_what_tinymed_installs_decodes_what_clinics_mostly_have() -> None:
    here = {row.name for row in examine_codecs() if row.is_here}
    always = {"PNG", "JPEG", "DICOM uncompressed", "DICOM deflated", "DICOM RLE", "DICOM JPEG"}
    assert here >= always | {"DICOM JPEG 2000"}


def test_what_cannot_be_decoded_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Helpless:
        is_available = False

    monkeypatch.setattr(base, "get_decoder", lambda _syntax: Helpless)
    rows = {row.name: row for row in examine_codecs()}
    for name, package in (
        ("DICOM JPEG Lossless", "python-gdcm"),
        ("DICOM JPEG-LS", "pyjpegls"),
        ("DICOM HTJ2K", "pylibjpeg"),
        ("DICOM RLE", "--force-reinstall tinymed"),
    ):
        assert not rows[name].is_here
        assert rows[name].get == f"pip install {package}"
        assert rows[name].note == "export such files uncompressed or as JPEG 2000"


def test_one_syntax_that_cannot_be_decoded_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    class Some:
        def __init__(self, syntax: uid.UID) -> None:
            self.is_available = syntax != uid.JPEG2000

    monkeypatch.setattr(base, "get_decoder", Some)
    here = {row.name: row.is_here for row in examine_codecs()}
    assert not here["DICOM JPEG 2000"]
    assert here["DICOM JPEG-LS"]


def test_pillow_is_tried_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("encoder jpeg not available")

    monkeypatch.setattr(Image.Image, "save", refuse)
    png, jpeg = examine_codecs()[:2]
    assert (png.is_here, jpeg.is_here) == (False, False)
    assert jpeg.get == "pip install --force-reinstall pillow"


def test_a_decoder_that_gives_other_pixels_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs.Image, "new", lambda *_: Image.linear_gradient("L"))
    assert not examine_codecs()[0].is_here


def test_every_syntax_is_one_of_pydicoms() -> None:
    for names, _package in DICOM.values():
        assert all(base.get_decoder(getattr(uid, name)) for name in names)
