"""The Markdown file: the same figures, and nothing in the data formats it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up_run import LONG

from tinymed.evaluate.report.content import ReportSettings, read_document
from tinymed.pages.document import Code, Document, Section
from tinymed.pages.html import report_html
from tinymed.pages.markdown import escaped, report_markdown
from tinymed.records import NOTICE


@pytest.fixture
def document(run_folder: Path, audit_folder: Path, judge_folder: Path) -> Document:
    return read_document(ReportSettings(folder=run_folder, audit=audit_folder, judge=judge_folder))


def test_every_line_of_a_table_has_as_many_cells(document: Document) -> None:
    blocks = re.findall(r"(?:^\|.*\n?)+", report_markdown(document), re.MULTILINE)
    assert len(blocks) > 8
    for block in blocks:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1, block


def test_what_comes_from_data_formats_nothing(document: Document) -> None:
    text = report_markdown(document)
    fences = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    assert "<script>" not in fences.sub("", text)
    assert "&lt;script&gt;" in text
    assert LONG in text
    assert "\x00" not in text


def test_markdown_holds_the_figures_of_the_page(document: Document) -> None:
    text, page = report_markdown(document), report_html(document)
    for figure in ("70.0", "[65.0,\xa075.0]", "51.5", "66.0"):
        assert figure in page
        assert figure.replace("[", r"\[").replace("]", r"\]") in text
    assert text.count("## ") == page.count("<h2") - 2  # the warnings and the summary have none
    assert NOTICE in text


def test_markdown_has_no_images_and_no_columns_of_plots(document: Document) -> None:
    text = report_markdown(document)
    assert "data:" not in text
    assert "| answer by | percent" in text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a|b\\", r"a\|b\\"),
        ("[x](https://example.org)", r"\[x\](https&#58;//example.org)"),
        ("![x](y)", r"!\[x\](y)"),
        ("`code` *a* _b_ ~c~ #d $e$", r"\`code\` \*a\* \_b\_ \~c\~ \#d \$e\$"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("two\nlines\r\n\u2028and", "two lines and"),
        ("@somebody", "&#64;somebody"),
        ("1. item", "&#49;. item"),
        ("51.5", "51.5"),
        ("+ plus", r"\+ plus"),
        ("\ud800", "?"),
    ],
)
def test_marks_of_markdown_are_escaped(text: str, wanted: str) -> None:
    assert escaped(text) == wanted


def test_a_command_cannot_leave_its_block() -> None:
    section = Section(id="x", title="X", blocks=(Code(text="a ``` b\r\n````"),))
    text = report_markdown(Document(title="T", notice="N", sections=(section,)))
    assert text.endswith("`````sh\na ``` b ````\n`````\n")
