"""Nothing on the page stands beside what it does not belong to: another's, another picture's."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_driver import ask, canvas_pixels, eventually, load_image, shown_case
from page_stand_in import StandIn
from playwright.sync_api import Page, Route, expect


def _hold(window: Page, frames: str) -> list[Route]:
    """From now on these frames do not arrive."""
    held: list[Route] = []
    window.route(f"**/frames/{frames}", lambda route: held.append(route))  # noqa: PLW0108
    return held


def _first(window: Page, held: list[Route]) -> Route:
    """The request that was held first, once it has come: the page shows that it waits before."""
    eventually(window, lambda: held)
    return held[0]


def test_a_picture_is_gone_before_the_next_cases_arrives(
    window: Page, stand_in: StandIn, small_image: Path, film: Path
) -> None:
    """The picture of the case before stood beside the new case, and went on its paper."""
    load_image(window, small_image)
    held = _hold(window, "*")
    window.locator("#file").set_input_files(film)
    expect(window.locator("#case")).to_contain_text("MR · HEAD")
    expect(window.locator("#fetching")).to_be_visible()
    assert set(canvas_pixels(window)) == {0}
    expect(window.locator("#readout")).to_be_hidden()
    window.locator("#preset").select_option("full")
    window.locator("#zoom-in").click()
    window.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(window.locator("#paper canvas")).to_have_count(0)
    _first(window, held).continue_()
    shown_case(window)
    expect(window.locator("#fetching")).to_be_hidden()
    assert max(canvas_pixels(window)) > 0


@pytest.mark.slow
def test_a_first_picture_that_is_on_its_way_asks_for_no_other(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    held = _hold(window, "*")
    window.locator("#file").set_input_files(small_image)
    expect(window.locator("#fetching")).to_have_text("Reading the image")
    expect(window.locator("#choose")).to_be_hidden()
    _first(window, held).abort()
    expect(window.locator("#fetching")).to_be_hidden()
    expect(window.locator("#choose")).to_be_visible()


@pytest.mark.slow
def test_a_frame_that_does_not_come_leaves_the_one_that_is_shown(
    window: Page, stand_in: StandIn, film: Path
) -> None:
    """Frame 5 was shown, the slider said 9, and the question was about 9."""
    load_image(window, film)
    shown = canvas_pixels(window)
    held = _hold(window, "8")
    window.locator("#frame").fill("8")
    expect(window.locator("#stage")).to_have_attribute("aria-busy", "true")
    window.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(window.locator("#paper figcaption")).to_contain_text("frame 5")
    _first(window, held).fulfill(
        status=500, json={"error": {"message": "It broke.", "code": "defect"}}
    )
    expect(window.locator("#open-problem")).to_contain_text("Frame 9 cannot be shown.")
    expect(window.locator("#frame-words")).to_have_text("5 / 10")
    expect(window.locator("#frame")).to_have_value("4")
    assert canvas_pixels(window) == shown
    ask(window, "Is there a mass?")
    assert stand_in.asked[0]["frame"] == 4
    window.locator("#frame").fill("7")
    expect(window.locator("#open-problem")).to_be_hidden()


@pytest.mark.slow
def test_a_case_that_is_gone_is_loaded_from_its_own_file(
    window: Page, stand_in: StandIn, small_image: Path, film: Path
) -> None:
    """The file that was chosen last was loaded, whichever case was open."""
    first = load_image(window, small_image)
    load_image(window, film)
    window.go_back()
    expect(window.locator(".file-name")).to_have_text(small_image.name)
    shown_case(window)
    del stand_in.cases[first]
    stand_in.cases["another"] = stand_in.cases["one more"] = {}
    window.locator("#question").fill("Why?")
    window.locator("#send").click()
    window.get_by_role("button", name="Load the image again").click()
    expect(window.locator("#case")).to_contain_text("CT · 128 × 128")
    expect(window.locator("#question")).to_have_value("Why?")


@pytest.mark.slow
def test_the_way_back_to_the_start_leaves_no_case_there(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    first = load_image(window, small_image)
    window.go_back()
    expect(window.locator("#choose")).to_be_visible()
    expect(window.locator("#case")).to_be_hidden()
    window.go_forward()
    assert shown_case(window) == first
    window.evaluate("location.hash = '#case=k3v9gone'")
    expect(window.locator("#open-problem")).to_contain_text("The server no longer holds this image")
    expect(window.locator("#case")).to_be_hidden()
    expect(window.locator("#choose")).to_be_visible()


@pytest.mark.slow
def test_a_case_that_comes_too_late_is_not_shown(
    window: Page, stand_in: StandIn, small_image: Path, film: Path
) -> None:
    first, second = load_image(window, small_image), load_image(window, film)
    held: list[Route] = []
    window.route(f"**/api/cases/{first}", lambda route: held.append(route))  # noqa: PLW0108
    window.go_back()
    expect(window.locator("#case")).to_be_hidden()
    window.go_forward()
    assert shown_case(window) == second
    with window.expect_response(f"**/api/cases/{first}"):
        _first(window, held).continue_()
    window.evaluate("new Promise((resolve) => setTimeout(resolve))")
    expect(window.locator("#case")).to_contain_text("MR · HEAD")


def test_whoever_signs_in_next_sees_nothing_of_the_one_before(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    """After a session had ended, the next user saw the case, the answers and the draft."""
    stand_in.passwords = {"amina": "a good password", "bintou": "another password"}
    window.reload()

    def sign_in(name: str) -> None:
        window.locator("#name").fill(name)
        window.locator("#password").fill(stand_in.passwords[name])
        window.locator("#sign-in-button").click()
        expect(window.locator("#user")).to_have_text(name)

    sign_in("amina")
    load_image(window, small_image)
    ask(window, "Is there a mass?")
    stand_in.refusals["POST questions"] = [(401, "sign-in", "Sign in.", None)]
    window.locator("#question").fill("Is the lung healthy?")
    window.locator("#send").click()
    sign_in("bintou")
    expect(window.locator("#choose")).to_be_visible()
    expect(window.locator(".turn")).to_have_count(0)
    expect(window.locator("#case")).to_be_hidden()
    expect(window.locator("#question")).to_have_value("")
    assert "case" not in window.url


@pytest.mark.slow
def test_several_files_are_said_only_where_one_was_opened(
    window: Page, stand_in: StandIn, small_image: Path, film: Path, tmp_path: Path
) -> None:
    """The picture's arrival took the sentence away; a refusal was said to have been opened."""
    text = tmp_path / "notes.txt"
    text.write_text("not an image")
    window.locator("#file").evaluate("(node) => (node.multiple = true)")
    window.locator("#file").set_input_files([small_image, film])
    expect(window.locator("#case")).to_be_visible()
    shown_case(window)
    problem = window.locator("#open-problem")
    expect(problem).to_contain_text("2 files came; only the first was opened.")
    window.locator("#file").set_input_files([text, film])
    expect(problem).to_contain_text("The image cannot be opened.")
    assert len(stand_in.cases) == 1
