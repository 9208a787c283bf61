"""Letters for any script: of reportlab's own font, of Noto's where installed, or as code points."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "tinymed-regular", "tinymed-bold"
_OWN = {REGULAR: "Vera.ttf", BOLD: "VeraBd.ttf"}
_FONT_PACKAGE = "manimgx_fonts"
"""Noto Sans for twenty scripts, SIL Open Font License, with no code."""
_JOINING = (
    *("ARABIC", "HEBREW", "SYRIAC", "THAANA", "NKO", "DEVANAGARI", "BENGALI", "GUJARATI"),
    *("GURMUKHI", "KANNADA", "KHMER", "MALAYALAM", "MYANMAR", "ORIYA", "SINHALA", "TAMIL"),
    *("TELUGU", "TIBETAN"),
)
"""Scripts, as Unicode names their letters, that need more than a letter after the other."""


@dataclass(slots=True)
class Letters:
    """Turns text into reportlab's markup, and remembers what it could not do well."""

    has_missing: bool = False
    """Whether a character stands as its code point."""
    has_unjoined: bool = False
    """Whether letters stand apart or from left to right that should not."""

    def markup(self, text: str, *, font: str = REGULAR) -> str:
        """Text, never markup, as markup that shows it."""
        shown = []
        for name, characters in groupby(_printable(text), lambda one: _font_of(one, font)):
            run = "".join(characters)
            self.has_unjoined |= any(map(_is_joining, run))
            if name is None:
                self.has_missing = True
                shown.append(" ".join(f"[U+{ord(one):04X}]" for one in run))
            elif name == font:
                shown.append(escape(run).replace("\n", "<br/>"))
            else:
                shown.append(f'<font name="{name}">{escape(run)}</font>')
        return "".join(shown)


@cache
def register_fonts() -> None:
    """Make the fonts known to reportlab, once."""
    for name, file in _OWN.items():
        pdfmetrics.registerFont(TTFont(name, file))


def _printable(text: str) -> str:
    """Composed letters; line breaks kept, other control and format characters dropped."""
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\t", " "))
    return "".join(
        one for one in composed if one == "\n" or unicodedata.category(one) not in ("Cc", "Cf")
    )


def _font_of(character: str, font: str) -> str | None:
    """Which font has a letter for a character; None if none has."""
    if character == "\n" or ord(character) in _glyphs(font):
        return font
    return next((name for name in _more_fonts() if ord(character) in _glyphs(name)), None)


@cache
def _glyphs(font: str) -> Any:
    return pdfmetrics.getFont(font).face.charToGlyph


@cache
def _more_fonts() -> tuple[str, ...]:
    """Noto's fonts, the one for Latin, Greek and Cyrillic first; empty where not installed."""
    found = find_spec(_FONT_PACKAGE)
    if found is None or not found.submodule_search_locations:
        return ()
    folder = Path(found.submodule_search_locations[0])
    names = []
    for file in sorted(folder.glob("*.ttf"), key=lambda file: (len(file.stem), file.stem)):
        name = f"tinymed-{file.stem}"
        pdfmetrics.registerFont(TTFont(name, str(file)))
        names.append(name)
    return tuple(names)


def _is_joining(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_JOINING)
