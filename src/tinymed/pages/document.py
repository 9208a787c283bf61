"""What a report holds, whatever it is written as: sections of tables, plots and text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

ColumnKind = Literal["number", "text", "plot", "code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One figure of a plot: a dot with its interval, all three fractions in [0, 1]."""

    value: float
    low: float
    high: float
    is_model: bool = True
    """The model's dot is filled, a control's hollow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    title: str
    kind: ColumnKind = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table: a figure, and what must be read with it."""

    text: str = ""
    detail: str = ""
    """Smaller, below the text: an interval, a name in code."""
    marks: tuple[Mark, ...] = ()
    """Drawn in a column of kind "plot"."""
    is_strong: bool = False
    note: int | None = None
    """Number of the footnote that explains it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table; the first cell is its heading."""

    cells: tuple[Cell, ...]
    is_muted: bool = False
    """Too few samples to tell anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """Rows under one heading; an empty heading is not shown."""

    title: str = ""
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A numbered footnote: what something is, and what is wrong with it."""

    number: int
    name: str
    text: str
    defect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its caption."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    groups: tuple[RowGroup, ...]
    notes: tuple[Note, ...] = ()
    remarks: tuple[str, ...] = ()
    """Sentences below it, such as what a mark in it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Paragraphs of prose."""

    kind: ClassVar[str] = "text"
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A command to copy."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Words and what they mean."""

    kind: ClassVar[str] = "definitions"
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing; a table beside it holds the same figures."""

    kind: ClassVar[str] = "figure"
    caption: str
    description: str
    """For who cannot see it: what it shows, in one or two sentences."""
    svg: str
    """An <svg> element of our own making; words from the data are escaped in it."""
    name: str = ""
    """What a file of it is called; "" where it is not one for a paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plots:
    """Drawings on two scales or of bars, beside each other where there is room."""

    kind: ClassVar[str] = "plots"
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongAnswer:
    """A wrong answer with what is needed to see why."""

    id: str
    question: str
    reference: str
    answer: str
    confidence: str
    """Percent, or "" where the model gave none."""
    shared: str = ""
    """How much of the reference an open answer holds, where it holds some of it."""
    blank_answer: str | None = None
    """What the model answered to the same question about a black image, where it was asked."""
    image: str = ""
    """A data URI, or "" where there is none to show."""
    image_note: str = ""
    """Why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongAnswers:
    """The wrong answers a reader should look at first."""

    kind: ClassVar[str] = "wrong_answers"
    answers: tuple[WrongAnswer, ...]


Block = Table | Text | Code | Definitions | Figure | Plots | WrongAnswers


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a report under a heading of its own."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report."""

    title: str
    kind: str = "Evaluation report"
    """Stands above the title."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What was measured on what, in a line: name and value."""
    notice: str
    warnings: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()

    @property
    def plots(self) -> tuple[Figure, ...]:
        """Every drawing in a `Plots` block, in the order of the page."""
        return tuple(
            figure
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Plots)
            for figure in block.figures
        )
