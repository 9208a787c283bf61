"""What hands do: two clicks where one was meant, a thumb, the focus that goes along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from page_driver import ask, canvas_pixels, finished_turn, load_image, open_page
from page_stand_in import RunningStandIn, StandIn, writes
from PIL import Image
from playwright.sync_api import Browser, Page, expect


def _two_clicks(window: Page, selector: str) -> None:
    """The second while the page goes on with what the first has done."""
    box = window.locator(selector).first.bounding_box()
    assert box is not None
    window.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.mark.slow
def test_a_double_click_asks_once_and_does_not_stop_the_answer(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    """The button to stop comes up where the one to ask was: the second click pressed it."""
    load_image(window, small_image)
    stand_in.go_on.clear()
    stand_in.scripts = [writes("a liver")]
    window.locator("#question").fill("What is this?")
    _two_clicks(window, "#send")
    expect(window.locator("#stop")).to_be_visible()
    stand_in.go_on.set()
    finished_turn(window, "What is this?")
    assert stand_in.stopped == []
    turn = window.locator(".turn")
    _two_clicks(window, ".verdict > .buttons button")
    expect(turn.locator(".verdicts li")).to_have_count(1)
    turn.locator(".verdict > .buttons button").first.click()
    expect(turn.locator(".verdicts li")).to_have_count(1)
    assert stand_in.log.count("POST /api/cases/k3v900000000/verdicts") == 1


@pytest.mark.slow
def test_a_double_click_asks_one_suggestion(window: Page, stand_in: StandIn, chest: Path) -> None:
    """An answer at once had moved another suggestion under the second click."""
    load_image(window, chest)
    box = window.locator(".chip").nth(2).bounding_box()
    assert box is not None
    x, y = box["x"] + 30, box["y"] + box["height"] / 2
    window.mouse.click(x, y)
    expect(window.locator(".turn .verdict")).to_have_count(1)
    assert window.evaluate("(at) => document.elementFromPoint(...at).closest('.chip')", [x, y])
    window.mouse.down(click_count=2)
    window.mouse.up(click_count=2)
    window.mouse.click(x, y)
    expect(window.locator(".turn .verdict")).to_have_count(2)
    assert len(stand_in.asked) == 2


@pytest.mark.slow
def test_a_thumb_brings_up_no_keyboard_over_the_answer(
    browser: Browser, running: RunningStandIn, stand_in: StandIn, small_image: Path
) -> None:
    """The focus went into the question's field: phones then cover half of the page."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale="en-US"
    )
    page = context.new_page()
    open_page(page, running.url)
    page.locator("#choose").focus()
    load_image(page, small_image)
    expect(page.locator("#scroll")).to_be_focused()
    page.locator("#question").fill("What is this?")
    page.locator("#send").tap()
    finished_turn(page, "What is this?")
    expect(page.locator("#scroll")).to_be_focused()
    context.close()


@pytest.mark.slow
def test_a_tiny_picture_grows_when_it_is_enlarged(
    window: Page, stand_in: StandIn, tmp_path: Path
) -> None:
    """Fitted into the page it was larger than the most that zooming allowed."""
    path = tmp_path / "tiny.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
    load_image(window, path)

    def zoom() -> int:
        canvas_pixels(window)
        return int(window.locator("#readout").inner_text().split()[-2])

    fitted = zoom()
    window.locator("#zoom-in").click()
    assert zoom() >= fitted
    window.locator("#zoom-out").click()
    assert zoom() < fitted


@pytest.mark.slow
def test_a_window_that_changes_its_size_never_shows_an_empty_picture(
    window: Page, stand_in: StandIn, chest: Path
) -> None:
    load_image(window, chest)
    canvas_pixels(window)
    window.evaluate(
        """() => {
            window.seen = [];
            const canvas = document.getElementById("canvas");
            new ResizeObserver(() => {
                const at = [canvas.width / 2, canvas.height / 2, 1, 1];
                window.seen.push(canvas.getContext("2d").getImageData(...at).data[0]);
            }).observe(document.getElementById("surface"));
        }"""
    )
    window.set_viewport_size({"width": 1100, "height": 700})
    window.wait_for_function("window.seen.length >= 2")
    assert min(window.evaluate("window.seen")) > 0


@pytest.mark.slow
def test_the_focus_survives_an_upload_that_is_cancelled(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    window.route("**/api/cases", lambda _route: None)
    window.locator("#file").set_input_files(small_image)
    window.locator("#uploading-stop").focus()
    window.keyboard.press("Enter")
    expect(window.locator("#uploading")).to_be_hidden()
    expect(window.locator("#open")).to_be_focused()


@pytest.mark.slow
def test_an_answer_is_heard_in_its_own_language(
    browser: Browser, running: RunningStandIn, stand_in: StandIn, small_image: Path
) -> None:
    """A French voice read English words, and said "yes" where the page shows "oui"."""
    context = browser.new_context(locale="fr-FR", viewport={"width": 1024, "height": 768})
    page = context.new_page()
    open_page(page, running.url)
    load_image(page, small_image)
    stand_in.scripts = [writes("The liver is large. ", "The spleen")]
    ask(page, "What do you see?")
    live = page.locator("#live")
    expect(live.get_by_text("Le modèle travaille")).to_have_count(1)
    assert live.locator("[lang=en]").all_inner_texts() == ["The liver is large.", "The spleen"]
    turn = ask(page, "Is this image normal?")
    expect(live.locator("p").last).to_contain_text("présent. oui. 81 réponses")
    assert live.locator("p").last.locator("[lang=en]").count() == 0
    assert turn.locator("h3").get_attribute("lang") == "en"
    context.close()


@pytest.mark.slow
def test_the_field_stays_in_sight_over_a_phones_keyboard(
    browser: Browser, running: RunningStandIn, stand_in: StandIn, film: Path
) -> None:
    """The page became one long one there, and the field was two screens below."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale="fr-FR")
    page = context.new_page()
    open_page(page, running.url)
    load_image(page, film)
    page.get_by_role("switch").first.check(force=True)
    page.set_viewport_size({"width": 360, "height": 400})
    for part in ("#notice", "#own-read", "#question", "#send"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    context.close()
