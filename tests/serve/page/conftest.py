"""A browser, and a server that speaks the page's contract, for tests of the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parent))

from page_driver import browser_program, launched, open_page
from page_stand_in import RunningStandIn, StandIn


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window.

    Of one file: while it is open, playwright keeps an event loop running in this thread.
    """
    if browser_program() is None:
        pytest.skip("no chromium on this machine: the page is not driven")
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def running() -> Iterator[RunningStandIn]:
    """One server for all tests; each gets a state of its own."""
    with RunningStandIn() as running:
        yield running


@pytest.fixture
def stand_in(running: RunningStandIn) -> StandIn:
    """The server's state, as new."""
    running.state = StandIn()
    return running.state


def _sample(name: str) -> Path:
    from pydicom.data import get_testdata_file

    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"pydicom-data, which has {name}, is not installed")
    return Path(str(found))


@pytest.fixture(scope="session")
def chest() -> Path:
    """A real radiograph of a chest, 1841 x 1955, 15 bits, MONOCHROME1."""
    return _sample("RG1_UNCR.dcm")


@pytest.fixture(scope="session")
def small_image() -> Path:
    """A piece of a CT slice, 128 x 128, in Hounsfield units."""
    return _sample("CT_small.dcm")


@pytest.fixture(scope="session")
def film() -> Path:
    """Ten frames of an MR image, 64 x 64."""
    return _sample("emri_small.dcm")


@pytest.fixture
def window(browser: Browser, running: RunningStandIn, stand_in: StandIn) -> Iterator[Page]:
    """The page at 1024 x 768 in English; whatever it says on its console fails the test."""
    context = browser.new_context(viewport={"width": 1024, "height": 768}, locale="en-US")
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, running.url)
    yield page
    context.close()
    # The browser itself logs every status that is no success, and that tests read the canvas.
    expected = ("Failed to load resource", "willReadFrequently")
    assert [text for text in complaints if not any(part in text for part in expected)] == []
    others = [url for url in asked if not url.startswith((running.url, f"blob:{running.url}"))]
    assert others == []
