"""A case's report as PDF, for a file or for paper."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Frame,
    Image,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus.flowables import HRFlowable

from tinymed.serve.report.letters import BOLD, REGULAR, Letters, register_fonts
from tinymed.serve.report.paper import (
    BOTTOM,
    INK,
    PAGE_HEIGHT,
    PALE,
    RULE,
    SIDE,
    TOP,
    WIDTH,
    Paper,
    shown_time,
)
from tinymed.serve.report.picture import small_picture
from tinymed.serve.report.words import Words

_LABEL_WIDTH = 60 * mm
_PICTURE_HEIGHT = 80 * mm
_LEAST_OF_A_QUESTION = 40 * mm
"""A question does not begin lower on a page than this."""
_MAX_CHARACTERS = 10_000
"""Of one text; the JSON report holds it whole."""
_HEADING = ParagraphStyle(
    "heading", fontName=BOLD, fontSize=13, leading=17, textColor=INK, spaceAfter=2 * mm
)
_QUESTION = ParagraphStyle("question", fontName=BOLD, fontSize=9, leading=12, textColor=PALE)
_TEXT = ParagraphStyle("text", fontName=REGULAR, fontSize=9, leading=12.5, textColor=INK)
_ASKED = ParagraphStyle("asked", parent=_TEXT, fontSize=11, leading=15, spaceAfter=1.5 * mm)
_FIELD = ParagraphStyle(
    "field",
    parent=_TEXT,
    leftIndent=_LABEL_WIDTH,
    bulletFontName=REGULAR,
    bulletFontSize=7.5,
    bulletColor=PALE,
    spaceAfter=0.8 * mm,
)
_HASH = ParagraphStyle("hash", parent=_FIELD, fontSize=7.5)
_ANSWER = ParagraphStyle("answer", parent=_FIELD, fontName=BOLD, fontSize=10.5, leading=14)
_ONE_AT_A_TIME = threading.Lock()
"""reportlab keeps what a document uses of a font in the font."""


def case_pdf(
    report: Mapping[str, Any], *, language: str, picture: bytes | np.ndarray | None = None
) -> bytes:
    """Print a case's report, made by `case_report`, on A4.

    The same report gives the same bytes. Scripts whose letters join or run from right to left are
    set letter by letter, and the report says so; characters without a letter stand as [U+4E2D].

    Args:
        report: What to print.
        language: Of the report's own words: "en", "fr", "pt" or "sw".
        picture: A PNG or JPEG file, or 8-bit pixels [height, width] or [height, width, 3].

    Raises:
        ConfigError: If there is no such language.
    """
    words = Words(language)
    with _ONE_AT_A_TIME:
        register_fonts()
        letters, num_pages = Letters(), 0
        while True:  # twice: how many pages there are is known when all are set
            content, num_set = _set(report, words, letters, picture, num_pages=num_pages)
            if num_set <= num_pages:
                return content
            num_pages = num_set


def _set(
    report: Mapping[str, Any],
    words: Words,
    letters: Letters,
    picture: bytes | np.ndarray | None,
    *,
    num_pages: int,
) -> tuple[bytes, int]:
    """Set the whole report once; its bytes, and how many pages they are."""
    out = io.BytesIO()
    document = BaseDocTemplate(
        out, title=f"tinymed {report['case']}", author="tinymed", invariant=1, pageCompression=1
    )
    frame = Frame(SIDE, BOTTOM, WIDTH, PAGE_HEIGHT - TOP - BOTTOM, 0, 0, 0, 0)
    paper = Paper(report=report, words=words, letters=letters, num_pages=num_pages)
    document.addPageTemplates([PageTemplate(frames=[frame], onPage=paper.draw)])
    document.build(list(_Content(report, words, letters).flow(picture)))
    return out.getvalue(), document.page


class _Content:
    """The report's flow of paragraphs."""

    def __init__(self, report: Mapping[str, Any], words: Words, letters: Letters) -> None:
        self._report = report
        self._words = words
        self._letters = letters
        self._say = words.say

    def flow(self, picture: bytes | np.ndarray | None) -> Iterator[Any]:
        """Everything from the first page to the last, head and foot apart."""
        yield self._text(self._say("report.image"), _HEADING)
        yield from self._image()
        if picture is not None:
            yield from self._picture(picture)
        yield Spacer(0, 4 * mm)
        yield self._text(self._say("report.questions"), _HEADING)
        history = self._report["history"]
        if not history:
            yield self._text(self._say("report.no_questions"), _TEXT)
        for number, entry in enumerate(history, start=1):
            yield from self._entry(number, entry)
        yield from self._remarks()

    def _image(self) -> Iterator[Any]:
        image, model, none = self._report["image"], self._report["model"], self._say("report.none")
        yield self._field("case", self._report["case"])
        yield self._field("image.sha256", image["sha256"], style=_HASH)
        yield self._field("image.source", image["source"])
        yield self._field("image.size", f"{image['width']} × {image['height']}")
        yield self._field("image.frames", image["num_frames"])
        yield self._field("image.modality", image.get("modality") or none)
        yield self._field("image.body_part", image.get("body_part") or none)
        yield self._field("image.notes", "; ".join(image["notes"]) or none)
        yield self._field("image.alerts", self._alerts(self._report["alerts"]))
        yield self._field("model.name", f"{model['name']}, {model['scheme']}")
        yield self._field("model.weights", model["weights_sha256"], style=_HASH)
        yield self._field("model.version", self._report["program"])

    def _picture(self, picture: bytes | np.ndarray) -> Iterator[Any]:
        small = small_picture(picture)
        scale = min(WIDTH / small.width, _PICTURE_HEIGHT / small.height)
        yield Spacer(0, 3 * mm)
        file = io.BytesIO()
        small.save(file, "PNG")
        yield Image(file, width=small.width * scale, height=small.height * scale, hAlign="LEFT")
        shown = self._say("report.image.shown", frame=self._report["image"]["frame"] + 1)
        yield self._text(shown, _QUESTION)

    def _entry(self, number: int, entry: Mapping[str, Any]) -> Iterator[Any]:
        yield CondPageBreak(_LEAST_OF_A_QUESTION)
        yield Spacer(0, 3 * mm)
        yield HRFlowable(width="100%", thickness=0.5, color=RULE, spaceAfter=2 * mm)
        heading = self._say("report.question", number=number)
        frame = self._say("report.frame", frame=entry["frame"] + 1)
        yield self._text(f"{heading} · {frame} · {shown_time(entry['asked_at'])}", _QUESTION)
        yield self._text(entry["question"], _ASKED)
        yield self._field("own_read", entry.get("own_read") or self._say("report.own_read.none"))
        answer = entry["answer"]
        if answer is None:
            yield self._field("answer", self._say("report.stopped"))
        else:
            yield from self._answer(answer)
        verdicts = entry.get("verdicts") or ()
        if not verdicts:
            yield self._field("verdict", self._say("report.verdict.none"))
        for verdict in verdicts:
            yield self._field("verdict", self._verdict(verdict))
        if entry.get("timings"):
            yield self._field("times", self._times(entry["timings"]))

    def _answer(self, answer: Mapping[str, Any]) -> Iterator[Any]:
        withheld = answer["is_withheld"]
        text = self._say("report.cannot_tell") if withheld else answer["text"]
        yield self._field("answer", text, style=_ANSWER)
        if answer["finding"]:
            yield self._field("finding", self._say(f"report.finding.{answer['finding']}"))
        yield self._field("calibrated", self._calibrated(answer["calibrated"]))
        yield self._field("alerts", self._alerts(answer["alerts"]))
        yield self._field("gates", self._gates(answer["gates"]))

    def _calibrated(self, figure: Mapping[str, Any] | None) -> str:
        if figure is None:
            return self._say("report.calibrated.none")
        return self._say(
            "report.calibrated.measured",
            percent=round(100 * figure["probability"]),
            count=figure["num_samples"],
            split=figure["split"],
        )

    def _alerts(self, alerts: list[Mapping[str, Any]]) -> str:
        told = [self._words.find(f"alert.{one['code']}", one["detail"]) for one in alerts]
        return "\n".join(told) or self._say("report.none")

    def _gates(self, gates: list[Mapping[str, Any]]) -> str:
        told = [
            self._say(
                "report.gate_and_outcome",
                gate=self._say("report.gate." + one["gate"]),
                outcome=self._say("report.outcome." + _outcome(one)),
            )
            for one in gates
        ]
        return "; ".join(told) or self._say("report.none")

    def _verdict(self, verdict: Mapping[str, Any]) -> str:
        user = verdict["user"] or self._say("report.local_user")
        decision = self._say(f"report.verdict.{verdict['decision']}")
        lines = [f"{decision} ({user}, {shown_time(verdict['at'])})"]
        if verdict["text"]:
            lines.append(self._say("report.verdict.text", text=verdict["text"]))
        if verdict["reason"]:
            lines.append(self._say("report.verdict.reason", reason=verdict["reason"]))
        return "\n".join(lines)

    def _times(self, timings: Mapping[str, float]) -> str:
        names = ("total", "wait", "encode", "first_text")
        seconds = {name: f"{timings[f'{name}_ms'] / 1000:.1f}" for name in names}
        first = seconds.pop("first_text")
        return self._say("report.times.taken", first=first, **seconds)

    def _remarks(self) -> Iterator[Any]:
        """Said last, of what came before."""
        if self._letters.has_missing or self._letters.has_unjoined:
            yield Spacer(0, 6 * mm)
        if self._letters.has_missing:
            yield self._text(self._say("report.glyphs"), _TEXT)
        if self._letters.has_unjoined:
            yield self._text(self._say("report.shaping"), _TEXT)

    def _field(self, key: str, text: object, *, style: ParagraphStyle = _FIELD) -> Any:
        label = self._say(f"report.{key}")
        return Paragraph(self._markup(str(text), style), style, bulletText=label)

    def _text(self, text: str, style: ParagraphStyle) -> Any:
        return Paragraph(self._markup(text, style), style)

    def _markup(self, text: str, style: Any) -> str:
        if len(text) > _MAX_CHARACTERS:
            text = text[:_MAX_CHARACTERS] + " […]"
        return self._letters.markup(text, font=style.fontName)


def _outcome(gate: Mapping[str, Any]) -> str:
    return "off" if gate["mode"] == "off" else str(gate["outcome"])
