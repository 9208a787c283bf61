"""What stands on every page: the notice, the case, who exported it, and the page's number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph

from tinymed.serve.report.letters import BOLD, REGULAR, Letters
from tinymed.serve.report.words import Words

INK, PALE, RULE, NOTICE_GROUND = map(HexColor, ("#1d2a33", "#5b6b76", "#c9d2d8", "#fdf3d6"))
PAGE_WIDTH, PAGE_HEIGHT = A4
SIDE = 18 * mm
TOP, BOTTOM = 37 * mm, 18 * mm
WIDTH = PAGE_WIDTH - 2 * SIDE
_NOTICE = ParagraphStyle("notice", fontName=BOLD, fontSize=8, leading=10.5, textColor=INK)
_SMALL = ParagraphStyle("small", fontName=REGULAR, fontSize=7, leading=9, textColor=PALE)
_SMALL_RIGHT = ParagraphStyle("small right", parent=_SMALL, alignment=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """Draws head and foot of each page."""

    report: Mapping[str, Any]
    words: Words
    letters: Letters
    num_pages: int
    """0 while it is not known yet."""

    def draw(self, canvas: Any, document: Any) -> None:
        """Draw around a page's content; reportlab calls it with its canvas."""
        canvas.saveState()
        self._draw_head(canvas)
        self._draw_foot(canvas, document.page)
        canvas.restoreState()

    def _draw_head(self, canvas: Any) -> None:
        top = PAGE_HEIGHT - 12 * mm
        title = self.letters.markup(self.words.say("report.title"))
        case = self.letters.markup(f"{self.words.say('report.case')} {self.report['case']}")
        _put(canvas, Paragraph(f"tinymed · {title}", _SMALL), SIDE, top, WIDTH * 0.6)
        _put(canvas, Paragraph(case, _SMALL_RIGHT), SIDE + WIDTH * 0.6, top, WIDTH * 0.4)
        notice = Paragraph(self.letters.markup(self.words.say("report.notice"), font=BOLD), _NOTICE)
        _, height = notice.wrap(WIDTH - 6 * mm, PAGE_HEIGHT)
        ground = height + 4 * mm
        bottom = top - 5 * mm - ground
        canvas.setFillColor(NOTICE_GROUND)
        canvas.rect(SIDE, bottom, WIDTH, ground, stroke=0, fill=1)
        notice.drawOn(canvas, SIDE + 3 * mm, bottom + 2 * mm)

    def _draw_foot(self, canvas: Any, page: int) -> None:
        exported = self.report["exported"]
        told = self.words.say(
            "report.exported",
            user=exported["by"] or self.words.say("report.local_user"),
            time=shown_time(exported["at"]),
        )
        number = self.words.say("report.page", page=page, pages=self.num_pages or page)
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.5)
        canvas.line(SIDE, BOTTOM - 4 * mm, PAGE_WIDTH - SIDE, BOTTOM - 4 * mm)
        foot = BOTTOM - 6 * mm
        _put(canvas, Paragraph(self.letters.markup(told), _SMALL), SIDE, foot, WIDTH * 0.75)
        place = SIDE + WIDTH * 0.75
        _put(canvas, Paragraph(number, _SMALL_RIGHT), place, foot, WIDTH * 0.25)


def shown_time(stamp: str) -> str:
    """A time as people read it.

    >>> shown_time("2026-11-22T14:00:00Z")
    '2026-11-22 14:00:00 UTC'
    """
    return stamp.replace("T", " ").removesuffix("Z") + " UTC"


def _put(canvas: Any, paragraph: Any, left: float, top: float, width: float) -> None:
    _, height = paragraph.wrap(width, PAGE_HEIGHT)
    paragraph.drawOn(canvas, left, top - height)
