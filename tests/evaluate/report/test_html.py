"""The HTML file: safe, whole, accessible, and the same each time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from made_up_run import LONG, MEAN, RIGHT_TO_LEFT

from tinymed.evaluate.report.content import ReportSettings, read_document
from tinymed.pages.html import report_html
from tinymed.records import NOTICE

_VOID = {"meta", "img", "br", "link", "input"}


class _Page(HTMLParser):
    """What a browser would make of the page, and what is wrong with it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self._open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture
def html(run_folder: Path, audit_folder: Path, judge_folder: Path) -> str:
    settings = ReportSettings(folder=run_folder, audit=audit_folder, judge=judge_folder)
    return report_html(read_document(settings))


@pytest.fixture
def page(html: str) -> _Page:
    return _Page(html)


def test_what_comes_from_data_is_shown_and_never_obeyed(html: str, page: _Page) -> None:
    assert page.all("script") == []
    assert page.text.count(MEAN) >= 6
    assert html.count("<script>") == 0
    assert RIGHT_TO_LEFT in page.text
    assert LONG in page.text


def test_every_tag_and_attribute_is_one_that_the_page_means_to_have(page: _Page) -> None:
    """An attribute that data closed early would show as one of its own."""
    names = {name for _, attributes in page.tags for name in attributes}
    assert names <= {
        *("alt", "aria-hidden", "aria-label", "aria-labelledby", "charset", "class", "colspan"),
        *("content", "cx", "cy", "dir", "focusable", "height", "href", "http-equiv", "id"),
        *("lang", "name", "points", "r", "role", "scope", "src", "tabindex", "text-anchor"),
        *("transform", "value", "viewbox", "width", "x", "x1", "x2", "y", "y1", "y2"),
    }
    assert not {"iframe", "object", "form", "link", "base"} & {tag for tag, _ in page.tags}


def test_each_error_stands_beside_the_answer_about_a_black_image(page: _Page) -> None:
    assert page.text.count("Black image") == 5


def test_the_page_asks_no_host_for_anything(html: str, page: _Page) -> None:
    assert {image["src"][:23] for image in page.all("img")} == {"data:image/jpeg;base64,"}
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert not re.search(r"url\(|@import|https?:|src=\"(?!data:)", html)


def test_the_page_forbids_itself_scripts_and_hosts(page: _Page) -> None:
    (policy,) = [one["content"] for one in page.all("meta") if "http-equiv" in one]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_the_notice_stands_on_top_and_on_every_printed_page(html: str, page: _Page) -> None:
    assert page.text.strip().startswith(NOTICE)
    assert f'content: "{NOTICE}"' in html


def test_warnings_stand_before_the_summary_and_the_scores(page: _Page) -> None:
    places = [
        page.text.index(words)
        for words in ("Leakage: 20 of 200", "In short", "On closed questions", "All scores")
    ]
    assert places == sorted(places)


def test_ids_are_unique_and_every_reference_has_its_target(page: _Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {link["href"][1:] for link in page.all("a")}
    wanted |= {one["aria-labelledby"] for _, one in page.tags if "aria-labelledby" in one}
    assert wanted
    assert wanted <= set(ids)


def test_every_table_has_a_caption_and_every_heading_cell_a_scope(page: _Page) -> None:
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert {cell["scope"] for cell in page.all("th")} == {"col", "row", "rowgroup"}


def test_headings_go_down_by_single_steps(page: _Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_image_has_its_words(page: _Page) -> None:
    assert [image["alt"] for image in page.all("img")] == [
        "The image that question 0 asks about",
        "The image that question 1 asks about",
    ]
    drawings = page.all("svg")
    assert drawings
    assert all("aria-label" in one or one["aria-hidden"] == "true" for one in drawings)


def test_every_drawing_is_well_formed(html: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) > 20
    for drawing in drawings:
        ET.fromstring(drawing)


def test_characters_that_no_page_may_hold_are_replaced(html: str) -> None:
    assert "Is it \N{REPLACEMENT CHARACTER} odd ??" in html
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", html)


def test_the_same_folder_gives_the_same_bytes(run_folder: Path) -> None:
    pages = [report_html(read_document(ReportSettings(folder=run_folder))) for _ in range(2)]
    assert pages[0] == pages[1]


def test_images_and_their_warning_go_together(run_folder: Path) -> None:
    with_images, without = (
        report_html(read_document(ReportSettings(folder=run_folder, with_images=wanted)))
        for wanted in (True, False)
    )
    assert with_images.count("data:image/jpeg") == 2
    assert "The images are of patients" in with_images
    assert "data:image/jpeg" not in without
    assert "The images are of patients" not in without
    assert "Image left out on request." in without


def test_the_command_to_repeat_a_run_can_be_copied(page: _Page) -> None:
    assert (
        "tinymed evaluate run 'made-up \"><script>alert(1)</script>' "
        "--samples 'test file.jsonl' --engine openvino --out runs/again"
    ) in page.text
