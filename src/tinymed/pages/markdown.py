"""A report as Markdown, for model cards: the same tables, without plots and images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tinymed.pages.document import (
    Block,
    Cell,
    Code,
    Column,
    Definitions,
    Document,
    Figure,
    Plots,
    Table,
    Text,
    WrongAnswers,
)

_MARKS = re.compile(r"([\\`*_\[\]{}|~#$])")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_OPENS_A_BLOCK = re.compile(r"^(\s*)([-+=]|\d+(?=[.)](?:\s|$)))")


def report_markdown(document: Document) -> str:
    """A report as GitHub's Markdown; what comes from data is escaped and stays on its line."""
    return "\n\n".join(_paragraphs(document)) + "\n"


def _paragraphs(document: Document) -> Iterator[str]:
    yield f"# {escaped(document.title)}"
    yield f"**{escaped(document.notice)}**"
    yield " · ".join(f"{escaped(name)}: {escaped(text)}" for name, text in document.facts.items())
    for warning in document.warnings:
        yield f"> {escaped(warning)}"
    yield from (escaped(sentence) for sentence in document.summary)
    for section in document.sections:
        yield f"## {escaped(section.title)}"
        for block in section.blocks:
            yield from _block(block)


def escaped(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line.

    >>> print(escaped("a|b <script>\n*x*"))
    a\|b &lt;script&gt; \*x\*
    >>> print(escaped("- no"))
    \- no
    """
    line = _BREAKS.sub(" ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKS.sub(r"\\\1", line).replace("@", "&#64;").replace("://", "&#58;//")
    line = _OPENS_A_BLOCK.sub(_escape_opening, line)
    return line.encode("utf-8", "replace").decode("utf-8")


def _escape_opening(found: re.Match[str]) -> str:
    blanks, mark = found.groups()
    # A digit cannot be escaped; a zero-width joiner would be copied along, an entity is not.
    return f"{blanks}&#{ord(mark[0])};{mark[1:]}" if mark[0].isdigit() else f"{blanks}\\{mark}"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Text):
        yield from (escaped(paragraph) for paragraph in block.paragraphs)
    elif isinstance(block, Code):
        fence = "`" * (1 + max(map(len, re.findall("`+", block.text)), default=2))
        yield f"{fence}sh\n{_BREAKS.sub(_keep_lines, block.text)}\n{fence}"
    elif isinstance(block, Definitions):
        yield _definitions(block.words)
    elif isinstance(block, Figure):
        yield f"{escaped(block.caption)} {escaped(block.description)}"
    elif isinstance(block, Plots):
        yield from (
            f"{escaped(figure.caption)} {escaped(figure.description)}" for figure in block.figures
        )
    else:
        yield _wrong_answers(block)


def _keep_lines(found: re.Match[str]) -> str:
    return "\n" if found.group() == "\n" else " "


def _definitions(words: Mapping[str, str]) -> str:
    return "\n".join(f"- **{escaped(word)}**: {escaped(text)}" for word, text in words.items())


def _table(table: Table) -> Iterator[str]:
    yield f"**{escaped(table.caption)}**"
    kept = [place for place, column in enumerate(table.columns) if column.kind != "plot"]
    columns = [table.columns[place] for place in kept]
    lines = [
        _line(escaped(column.title) for column in columns),
        _line(":---" if column.kind in ("text", "code") else "---:" for column in columns),
    ]
    for group in table.groups:
        if group.title:
            lines.append(_line([f"*{escaped(group.title)}*", *[""] * (len(columns) - 1)]))
        lines += [
            _line(_cell(row.cells[place], table.columns[place]) for place in kept)
            for row in group.rows
        ]
    yield "\n".join(lines)
    yield from (escaped(remark) for remark in table.remarks)
    if table.notes:
        yield "\n".join(
            f"{note.number}. `{note.name}`: {escaped(note.text)}"
            + (f" *Known defect:* {escaped(note.defect)}" if note.defect else "")
            for note in table.notes
        )


def _line(cells: Iterator[str] | list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell, column: Column) -> str:
    text = escaped(cell.text)
    if cell.is_strong and text:
        text = f"**{text}**"
    note = "" if cell.note is None else f" ({cell.note})"
    detail = f" {escaped(cell.detail)}" if cell.detail and cell.note is None else ""
    if column.kind == "code":
        return f"<code>{text}</code>"
    return f"{text}{note}{detail}"


def _wrong_answers(block: WrongAnswers) -> str:
    titles = ("id", "question", "reference", "answer", "confidence", "about a black image")
    lines = [_line(list(titles)), _line([":---"] * len(titles))]
    for one in block.answers:
        answer = f"{one.answer} ({one.shared})" if one.shared else one.answer
        cells = (
            *(one.id, one.question, one.reference, answer),
            *(one.confidence or "–", "–" if one.blank_answer is None else one.blank_answer),
        )
        lines.append(_line([escaped(cell) for cell in cells]))
    return "\n".join(lines)
