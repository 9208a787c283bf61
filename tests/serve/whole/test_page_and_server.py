"""A clinician's whole way through the page, with the real server and the shipped model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from real_server import RealServer, chest_file

from tinymed.records import NOTICE

sys.path.insert(0, str(Path(__file__).parent.parent / "page"))

from page_driver import ask, browser_program, export, launched, load_image, open_page, reject

SIZES = {"desk": (1024, 768), "phone": (360, 740)}
ORGAN = "What organ is shown?"
ENLARGED = "Is the heart enlarged?"
REASON = "The heart's size is normal."


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if browser_program() is None:
        pytest.skip("no chromium on this machine: the page is not driven")
    with launched() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of one size; afterwards, that nothing went elsewhere or wrong."""
    width, height = SIZES[request.param]
    is_phone = request.param == "phone"
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        locale="en-GB",
        accept_downloads=True,
        has_touch=is_phone,
        is_mobile=is_phone,
    )
    page = context.new_page()
    requested: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda sent: requested.append(sent.url))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert requested
    assert all(url.startswith(("http://127.0.0.1:", "blob:", "data:")) for url in requested)
    assert complaints == []


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where somebody wants to look at them."""
    folder = os.environ.get("TINYMED_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


@pytest.mark.parametrize("page", SIZES, indirect=True)
def test_upload_ask_ask_again_reject_and_export(
    server: RealServer, page: Page, request: pytest.FixtureRequest
) -> None:
    size = request.node.callspec.params["page"]
    open_page(page, server.url)
    expect(page.get_by_text(NOTICE)).to_be_visible()
    case = load_image(page, chest_file())
    picture(page, f"{size}-1-loaded")
    first = ask(page, ORGAN)
    picture(page, f"{size}-2-first-answer")
    second = ask(page, ENLARGED)
    picture(page, f"{size}-3-second-answer")
    reject(second, REASON)
    picture(page, f"{size}-4-rejected")
    saved = json.loads(Path(export(page, "json").path()).read_text(encoding="utf-8"))
    paper = Path(export(page, "pdf").path()).read_bytes()
    picture(page, f"{size}-5-exported")
    expect(page.get_by_text(NOTICE)).to_be_in_viewport()

    shown, judged = saved["history"] if "history" in saved else saved["case"]["history"]
    assert first.inner_text()
    assert shown["answer"]["text"] in first.inner_text()
    assert paper.startswith(b"%PDF-")
    assert judged["verdicts"][0]["reason"] == REASON
    rows = [row for row in server.rows("answered") if row["case"] == case]
    assert [row["body"]["id"] for row in rows] == [shown["id"], judged["id"]]
    # The second question read no image again.
    assert rows[1]["body"]["timings"]["encode_ms"] == 0
    (verdict,) = [row for row in server.rows("verdict") if row["case"] == case]
    assert REASON in json.dumps(verdict)
    exported = [row for row in server.rows("exported") if row["case"] == case]
    assert len(exported) == 2
