"""What a clinician does on the page, a step a function; for any server that has the page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Download, Locator, Page, expect, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_program() -> str | None:
    """The browser that this machine has, if it has one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """That browser, without a window. No sandbox: tests run as root in containers."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_program(), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def open_page(page: Page, base_url: str) -> None:
    """Open the page and wait until it may be used."""
    page.goto(base_url)
    expect(page.locator("#choose")).to_be_visible()


def load_image(page: Page, path: Path) -> str:
    """Choose an image file, and wait until its picture is shown; gives the case's name."""
    before = page.url
    page.locator("#file").set_input_files(path)
    expect(page).not_to_have_url(before, timeout=30_000)
    return shown_case(page)


def shown_case(page: Page) -> str:
    """Wait until the picture is shown of the case that the address names; gives its name."""
    case = re.sub(".*#case=", "", page.url)
    expect(page.locator("#canvas")).to_have_attribute("data-case", case, timeout=30_000)
    return case


def ask(page: Page, question: str) -> Locator:
    """Ask, and wait until the whole answer stands there; gives its part of the history."""
    page.locator("#question").fill(question)
    page.locator("#send").click()
    return finished_turn(page, question)


def finished_turn(page: Page, question: str) -> Locator:
    """The last turn, once its answer may be judged."""
    turn = page.locator(".turn").nth(page.locator(".turn").count() - 1)
    expect(turn.locator("h3")).to_have_text(question)
    expect(turn.get_by_role("group").locator("button").first).to_be_visible(timeout=60_000)
    return turn


def reject(turn: Locator, reason: str, *, shown: str | None = None) -> None:
    """Reject an answer with a reason, and wait until it is kept."""
    turn.locator(".verdict > .buttons button").nth(1).click()
    turn.locator(".verdict-form textarea").fill(reason)
    turn.locator(".verdict-form button[type=submit]").click()
    expect(turn.locator(".verdicts .reject")).to_contain_text(shown or reason)


def export(page: Page, kind: str) -> Download:
    """Save the case's record, "pdf" or "json"."""
    index = {"pdf": 1, "json": 2}[kind]
    with page.expect_download() as download:
        page.locator(".export button").nth(index).click()
    return download.value


def eventually(page: Page, holds: Callable[[], object]) -> None:
    """Wait until something holds that the page itself does not show."""
    for _ in range(250):
        if holds():
            return
        page.wait_for_timeout(20)
    raise AssertionError("what was waited for did not come within 5 s")


def canvas_pixels(page: Page) -> list[int]:
    """Every 97th red value of what the canvas shows."""
    # Two frames: the drawing happens before the next one.
    pixels: list[int] = page.evaluate(
        """() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.getElementById("canvas");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            resolve(Array.from(data).filter((_, index) => index % (4 * 97) === 0));
        })))"""
    )
    return pixels
