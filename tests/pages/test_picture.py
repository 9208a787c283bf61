"""Plots as files: they need no page, and a PNG is never without its words."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from tinymed.errors import HardwareError, MissingExtraError
from tinymed.pages import picture
from tinymed.pages.bars import STANDALONE_WIDTH_PX, Bar, BarPlot, draw_bars
from tinymed.pages.picture import png_of, standalone_svg
from tinymed.pages.scales import Scale
from tinymed.pages.scatter import HEIGHT_PX, WIDTH_PX, Axis, Dot, Scatter, draw_scatter

SVG = "{http://www.w3.org/2000/svg}"
BARS = draw_bars(
    BarPlot(
        title="T",
        description="",
        axis="ms",
        names=("one",),
        bars=(Bar(label="a", pieces=(1,), total=""),),
    )
)


def scatter(label: str = "name", *, x: float = 50.0) -> str:
    axis = Axis(title="axis", scale=Scale(low=0, high=100))
    dots = (Dot(label=label, look="front", x=x, y=50),)
    return draw_scatter(Scatter(title="T", description="", x=axis, y=axis, dots=dots)).svg


def test_a_file_has_its_own_colours_and_asks_for_nothing() -> None:
    text = standalone_svg(scatter())
    assert "var(" not in text
    assert not re.search(r"url\(|@import|href|<script", text)
    style = ET.fromstring(text).findtext(f"{SVG}style") or ""
    assert re.search(r"\.dot\.front \{ fill: #\w{6}; \}", style)


def test_a_file_says_its_size_on_a_white_ground() -> None:
    svg = ET.fromstring(standalone_svg(scatter()))
    assert (svg.get("width"), svg.get("height")) == (str(WIDTH_PX + 20), str(HEIGHT_PX + 20))
    ground = svg.find(f"{SVG}rect")
    assert ground is not None
    assert ground.get("fill") == "#ffffff"
    bars = ET.fromstring(standalone_svg(BARS))
    assert bars.get("width") == str(STANDALONE_WIDTH_PX + 20)


def test_characters_that_xml_forbids_are_replaced() -> None:
    svg = ET.fromstring(standalone_svg(scatter("a\x00b")))
    assert "a\N{REPLACEMENT CHARACTER}b" in {text.text for text in svg.iter(f"{SVG}text")}


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_png_is_as_large_as_asked_and_shows_the_plot_and_its_words() -> None:
    pytest.importorskip("resvg_py", reason="needs the extra plots")
    found = pixels(png_of(scatter(), pixels_per_px=2))
    assert found.shape == (2 * (HEIGHT_PX + 20), 2 * (WIDTH_PX + 20), 3)
    assert (found == 255).all(axis=2).mean() > 0.8
    assert (found == (0x0B, 0x57, 0xA4)).all(axis=2).sum() > 100
    renamed = pixels(png_of(scatter("other"), pixels_per_px=2))
    assert (renamed != found).any()


def test_bars_are_drawn_in_percent_of_the_files_width() -> None:
    pytest.importorskip("resvg_py", reason="needs the extra plots")
    found = pixels(png_of(BARS, pixels_per_px=1))
    grey = (found == (0x8A, 0x90, 0x99)).all(axis=2)
    assert grey.sum(axis=1).max() > 0.8 * STANDALONE_WIDTH_PX


def test_a_machine_without_a_font_is_told_instead_of_given_a_png_without_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resvg = pytest.importorskip("resvg_py", reason="needs the extra plots")

    def without_fonts(**options: object) -> bytes:
        return bytes(resvg.svg_to_bytes(skip_system_fonts=True, **options))

    blind = SimpleNamespace(svg_to_bytes=without_fonts)
    monkeypatch.setattr(picture, "require", lambda *_, **__: blind)
    with pytest.raises(HardwareError, match="has no font, so a PNG would lack every word"):
        png_of(scatter())


def test_without_the_extra_a_png_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tinymed\[plots\]'"):
        png_of(scatter())
