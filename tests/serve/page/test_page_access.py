"""The page for every size, hand and eye: what can be checked by a machine."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from page_driver import ask, load_image, open_page, reject
from page_stand_in import RunningStandIn, StandIn, alert, tells, writes
from playwright.sync_api import Browser, Page, expect

SIZES = {"desk": (1024, 768), "phone": (360, 740), "small phone": (320, 568)}

CONTRAST = """() => {
    const light = ([r, g, b]) => {
        const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const rgba = (text) => text.match(/[0-9.]+/g).map(Number);
    const ground = (node) => {
        const layers = [];
        for (let at = node; at !== null; at = at.parentElement) {
            layers.push(rgba(getComputedStyle(at).backgroundColor));
        }
        return layers.reverse().reduce(([r, g, b], [x, y, z, a = 1]) =>
            [r + (x - r) * a, g + (y - g) * a, b + (z - b) * a], [255, 255, 255]);
    };
    const faint = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const words = walker.currentNode.textContent.trim();
        const isShown = node.checkVisibility({ visibilityProperty: true }) &&
            node.closest(":disabled, .unseen, option, #paper, .skip") === null;
        if (words !== "" && isShown) {
            const text = light(rgba(getComputedStyle(node).color));
            const below = light(ground(node));
            const ratio = (Math.max(text, below) + 0.05) / (Math.min(text, below) + 0.05);
            if (ratio < 4.5) {
                faint.push([words, ratio]);
            }
        }
    }
    return faint;
}"""

NAMELESS = """() => {
    const kinds = "button, select, textarea, input, summary, a, canvas, dialog";
    const nodes = document.querySelectorAll(kinds);
    const name = (node) => node.getAttribute("aria-label") ||
        [...(node.labels ?? [])].map((label) => label.textContent).join("") ||
        (node.getAttribute("aria-labelledby") && "named") ||
        (node.matches("button, summary, a") ? node.textContent.trim() : "");
    return [...nodes].filter((node) => node.checkVisibility() && node.id !== "file" && !name(node))
        .map((node) => node.outerHTML);
}"""

SMALL = """() => [...document.querySelectorAll("button, select, textarea, input[type=range]")]
    .filter((node) => node.checkVisibility())
    .filter((node) => Math.min(node.offsetWidth, node.offsetHeight) < 24)
    .map((node) => node.outerHTML)"""

COVERED = """() => {
    const { x, y, width, height, top, bottom } =
        document.getElementById("notice").getBoundingClientRect();
    const isWhole = height > 10 && top >= 0 && bottom <= innerHeight && width > innerWidth * 0.9;
    const at = (part) => document.elementFromPoint(x + width * part, y + height / 2);
    return !isWhole || [0.02, 0.25, 0.5, 0.75, 0.98].some((part) => at(part)?.id !== "notice");
}"""

WIDER = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth"


def _check(page: Page) -> None:
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(SMALL) == []
    assert page.evaluate(COVERED) is False
    assert page.evaluate(WIDER) <= 0
    ids = page.evaluate("Array.from(document.querySelectorAll('[id]'), (node) => node.id)")
    assert len(ids) == len(set(ids))


def _go_through_every_state(page: Page, stand_in: StandIn, film: Path) -> None:
    _check(page)
    stand_in.alerts = [alert("blurred", figures={"sharpness": 0.1}), alert("single-slice")]
    load_image(page, film)
    _check(page)
    withheld = {"is_withheld": True, "kind": "yes-no", "finding": "cannot-tell"}
    alerts = [alert("contradiction", withholds=True), alert("text-in-image")]
    stand_in.scripts = [writes("x", alerts=alerts, **withheld)]
    turn = ask(
        page, "Is the heart enlarged, " + "and very much so, " * 6 + "Supercalifragilistic" * 9
    )
    reject(turn, "W" * 200)
    turn.locator(".verdict > .buttons button").nth(2).click()
    turn.locator("[type=submit]").click()
    page.get_by_role("switch").first.check(force=True)
    page.locator("#send").click()
    page.evaluate("document.querySelectorAll('details').forEach((node) => (node.open = true))")
    stand_in.health = {"status": "loading", "seconds": 3}
    stand_in.scripts = [tells(("queued", {"ahead": 0}))]
    page.locator("#own-read").fill("a mass")
    page.locator("#question").fill("Why?")
    page.locator("#send").click()
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator(".turn").last.locator(".problem")).to_be_visible()
    _check(page)
    page.locator("#help").click()
    notice, keys = page.locator("#notice").bounding_box(), page.locator("#keys").bounding_box()
    assert notice is not None
    assert keys is not None
    assert keys["y"] >= notice["y"] + notice["height"]
    backdrop = "getComputedStyle(document.getElementById('keys'), '::backdrop').backgroundColor"
    assert page.evaluate(backdrop) == "rgba(0, 0, 0, 0)"
    page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [
        ("desk", "dark", "en"),
        ("phone", "dark", "en"),
        pytest.param("desk", "light", "sw", marks=pytest.mark.slow),
        pytest.param("phone", "light", "fr", marks=pytest.mark.slow),
        pytest.param("phone", "dark", "sw", marks=pytest.mark.slow),
        pytest.param("desk", "device", "pt", marks=pytest.mark.slow),
        pytest.param("small phone", "dark", "pt", marks=pytest.mark.slow),
    ],
)
def test_all_is_readable_named_large_enough_and_below_the_notice(  # noqa: PLR0913, PLR0917
    browser: Browser,
    running: RunningStandIn,
    stand_in: StandIn,
    film: Path,
    size: str,
    theme: str,
    language: str,
) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
    page = context.new_page()
    open_page(page, running.url)
    page.locator("#theme").select_option(theme)
    page.locator("#language").select_option(language)
    _go_through_every_state(page, stand_in, film)
    context.close()


@pytest.mark.slow
def test_sign_in_is_readable_too(window: Page, stand_in: StandIn) -> None:
    stand_in.passwords = {"amina": "x"}
    window.reload()
    window.locator("#sign-in-button").click()
    for theme in ("dark", "light"):
        window.locator("#theme").select_option(theme)
        _check(window)


@pytest.mark.slow
def test_a_low_window_scrolls_as_one_page_under_the_notice(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    window.set_viewport_size({"width": 740, "height": 360})
    load_image(window, small_image)
    ask(window, "Is there a mass?")
    for part in ("#send", "#surface", ".turn"):
        window.locator(part).scroll_into_view_if_needed()
        assert window.evaluate(COVERED) is False
    assert window.evaluate(WIDER) <= 0


def test_the_paper_has_the_notice_the_picture_and_the_answers(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    stand_in.alerts = [alert("blurred")]
    load_image(window, small_image)
    reject(ask(window, "Is there a mass?"), "There is none.")
    window.emulate_media(media="print")
    window.evaluate("dispatchEvent(new Event('beforeprint'))")
    paper = window.locator("#paper")
    expect(paper.locator("thead")).to_contain_text("Not a diagnosis")
    for words in (
        "k3v900000000",
        "Is there a mass?",
        "present",
        "81 of 100",
        "The picture is blurred",
        "There is none.",
        "nano · openvino-int8",
    ):
        expect(paper).to_contain_text(words)
    assert paper.locator("canvas").evaluate("(node) => [node.width, node.height]") == [128, 128]
    assert window.locator("main:visible, header > *:visible, dialog:visible").count() == 0
    # The head of a table stands on every sheet.
    assert (
        paper.locator("thead").evaluate("(n) => getComputedStyle(n).display")
        == "table-header-group"
    )


@pytest.mark.slow
def test_what_is_told_is_marked_for_screen_readers(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    turn = ask(window, "Is there a mass?")
    for role, name in (("banner", None), ("main", None), ("application", "Picture viewer")):
        expect(window.get_by_role(role, name=name)).to_have_count(1)  # type: ignore[arg-type]
    expect(window.get_by_role("region", name="Questions and answers")).to_have_count(1)
    expect(window.get_by_role("img", name="Medical image CT")).to_have_count(1)
    assert window.locator("#live").get_attribute("aria-live") == "polite"
    expect(window.locator("#live")).to_contain_text("present. yes. 81 of 100")
    expect(turn.get_by_role("heading", name="Is there a mass?")).to_have_count(1)
    levels = window.evaluate(
        "Array.from(document.querySelectorAll('h1, h2, h3, h4')).filter((n) => n.checkVisibility())"
        ".map((n) => Number(n.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.slow
def test_nothing_moves_for_those_who_do_not_want_it(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    window.emulate_media(reduced_motion="reduce")
    load_image(window, small_image)
    stand_in.go_on.clear()
    stand_in.scripts = [writes("a", "b")]
    window.locator("#question").fill("Is there a mass?")
    window.locator("#send").click()
    expect(window.locator(".status.busy")).to_be_visible()
    assert window.evaluate("document.getAnimations().length") == 0
    window.emulate_media(reduced_motion="no-preference")
    assert window.evaluate("document.getAnimations().length") > 0
    stand_in.go_on.set()
