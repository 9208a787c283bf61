"""A plot of a page as a file of its own: SVG, or PNG for papers."""

from __future__ import annotations

import re
from types import ModuleType
from xml.etree import ElementTree as ET

from tinymed.errors import HardwareError
from tinymed.extras import require
from tinymed.pages.bars import STANDALONE_WIDTH_PX
from tinymed.pages.plot_style import standalone_style

_SVG = "http://www.w3.org/2000/svg"
_FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_MARGIN_PX = 10
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_ONLY = (
    f'<svg xmlns="{_SVG}" width="40" height="20"><text x="2" y="15" font-size="14">x</text></svg>'
)
_NOTHING = f'<svg xmlns="{_SVG}" width="40" height="20"/>'


def standalone_svg(drawing: str) -> str:
    """A plot as an SVG file that needs no page: own colours, white ground, some margin.

    Args:
        drawing: An <svg> element as `draw_scatter` and `draw_bars` make it.
    """
    inner = ET.fromstring(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", drawing))  # noqa: S314 - ours
    width = inner.get("width", "")
    width_px = STANDALONE_WIDTH_PX if width.endswith("%") else int(width)
    height_px = int(inner.get("height", ""))
    inner.set("width", str(width_px))
    inner.set("x", str(_MARGIN_PX))
    inner.set("y", str(_MARGIN_PX))
    whole_px = (width_px + 2 * _MARGIN_PX, height_px + 2 * _MARGIN_PX)
    outer = ET.Element(
        "svg",
        {
            "xmlns": _SVG,
            "width": str(whole_px[0]),
            "height": str(whole_px[1]),
            "viewBox": f"0 0 {whole_px[0]} {whole_px[1]}",
            "font-family": _FONTS,
        },
    )
    ET.SubElement(outer, "style").text = standalone_style()
    ET.SubElement(outer, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    outer.append(inner)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(outer, encoding="unicode")


def png_of(drawing: str, *, pixels_per_px: float = 3.0) -> bytes:
    """A plot as PNG, at three pixels for one of the page: 288 for an inch on paper.

    Raises:
        MissingExtraError: If resvg is not installed.
        HardwareError: If this machine has no font, so that every word would be missing.
    """
    resvg = require("resvg_py", extra="plots", for_what="A plot as PNG")
    if not _has_fonts(resvg):
        raise HardwareError(
            "This machine has no font, so a PNG would lack every word: install one, such as the "
            "package fonts-dejavu-core, or write SVG."
        )
    return bytes(resvg.svg_to_bytes(svg_string=standalone_svg(drawing), zoom=pixels_per_px))


def _has_fonts(resvg: ModuleType) -> bool:
    return bool(
        resvg.svg_to_bytes(svg_string=_TEXT_ONLY) != resvg.svg_to_bytes(svg_string=_NOTHING)
    )
