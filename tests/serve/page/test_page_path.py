"""The way of a clinician through the page, from an image to its record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from page_driver import ask, eventually, export, finished_turn, load_image, reject
from page_stand_in import Event, StandIn, alert, answer_row, writes
from playwright.sync_api import FileChooser, Page, expect


def test_upload_question_streamed_answer_second_question_reject_export(
    window: Page, stand_in: StandIn, chest: Path
) -> None:
    load_image(window, chest)
    expect(window.locator("#case")).to_contain_text("CR · CHEST · 1841 × 1955")
    stand_in.scripts = [writes("an opacity ", "in the right lung")]
    stand_in.go_on.clear()
    window.locator("#question").fill("What is abnormal in this image?")
    window.keyboard.press("Enter")
    expect(window.locator(".turn .status")).to_have_text("The model is at work")
    stand_in.go_on.set()
    first = finished_turn(window, "What is abnormal in this image?")
    expect(first.locator(".words")).to_have_text("an opacity in the right lung")
    second = ask(window, "Is there a pleural effusion?")
    expect(second.locator(".finding")).to_have_text("present")
    reject(second, "The angles are sharp.")
    as_json, as_pdf = export(window, "json"), export(window, "pdf")
    assert as_json.suggested_filename == "tinymed-k3v900000000.json"
    written = json.loads(Path(as_json.path()).read_text())
    verdict = written["history"][1]["verdicts"][0]
    assert (verdict["decision"], verdict["reason"]) == ("reject", "The angles are sharp.")
    assert as_pdf.suggested_filename == "tinymed-k3v900000000.pdf"
    assert Path(as_pdf.path()).read_bytes() == b"%PDF language=en&picture=1"


@pytest.mark.slow
def test_an_answer_is_seen_as_it_is_written_and_heard_in_whole_sentences(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)

    async def script(state: StandIn, case: str, asked: dict[str, Any]) -> AsyncIterator[Event]:
        for piece in ("The liver ", "is large. ", "The spleen"):
            yield "text", {"piece": piece}
            state.go_on.clear()
            await state.wait()
        answer = answer_row(asked["question"], "The liver is large. The spleen")
        yield "answer", state.keep(case, asked, answer)

    stand_in.scripts = [script]
    window.locator("#question").fill("What do you see?")
    window.locator("#send").click()
    words, heard = window.locator(".turn .words"), window.locator("#live")
    expect(words).to_have_text("The liver ")
    expect(heard).not_to_contain_text("liver")
    stand_in.go_on.set()
    expect(words).to_have_text("The liver is large. ")
    stand_in.go_on.set()
    expect(words).to_have_text("The liver is large. The spleen")
    expect(heard).to_contain_text("The liver is large.")
    expect(heard).not_to_contain_text("spleen")
    expect(window.locator("#stop")).to_be_visible()
    stand_in.go_on.set()
    finished_turn(window, "What do you see?")
    expect(heard).to_contain_text("The spleen")
    expect(window.locator("#send")).to_be_visible()


@pytest.mark.parametrize("how", ["button", pytest.param("key", marks=pytest.mark.slow)])
def test_stop_ends_the_answer_on_the_server_too(
    window: Page, stand_in: StandIn, small_image: Path, how: str
) -> None:
    load_image(window, small_image)
    stand_in.scripts = [writes("never ", "all ", "of ", "it")]
    stand_in.go_on.clear()
    window.locator("#question").fill("What is this?")
    window.locator("#send").click()
    expect(window.locator(".turn .status")).to_have_text("The model is at work")
    if how == "button":
        window.locator("#stop").click()
    else:
        window.keyboard.press("Escape")
    expect(window.locator(".turn .status")).to_have_text("Stopped before there was an answer.")
    expect(window.locator("#question")).to_be_focused()
    eventually(window, lambda: stand_in.stopped == ["What is this?"])
    stand_in.go_on.set()
    ask(window, "And now?")


def test_the_place_in_the_queue_is_told_and_text_that_does_not_hold_is_taken_back(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)

    async def script(state: StandIn, case: str, asked: dict[str, Any]) -> AsyncIterator[Event]:
        told = [("queued", {"ahead": 2}), ("text", {"piece": "no "}), ("withdrawn", {})]
        for event in told:
            yield event
            state.go_on.clear()
            await state.wait()
        alerts = [alert("contradiction", withholds=True), alert("not-calibrated")]
        found = {"is_withheld": True, "finding": "cannot-tell", "kind": "yes-no", "alerts": alerts}
        row = answer_row(asked["question"], "cannot tell", **found)
        yield "answer", state.keep(case, asked, row)

    stand_in.scripts = [script]
    window.locator("#question").fill("Is the heart enlarged?")
    window.locator("#send").click()
    turn = window.locator(".turn")
    expect(turn.locator(".status")).to_have_text("2 before you")
    stand_in.go_on.set()
    expect(turn.locator(".words")).to_have_text("no ")
    stand_in.go_on.set()
    expect(turn.locator(".words")).to_be_hidden()
    expect(turn.locator(".status")).to_contain_text("was taken back")
    stand_in.go_on.set()
    finished_turn(window, "Is the heart enlarged?")
    expect(turn.locator(".finding")).to_have_text("cannot tell")
    expect(turn.get_by_role("alert")).to_contain_text("the model contradicted itself")
    expect(turn.get_by_role("alert")).to_contain_text("withheld because of this")
    expect(turn.locator(".alert")).to_have_count(1)
    assert "no " not in turn.inner_text().splitlines()


def test_a_figure_is_shown_only_where_it_was_measured(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    calibrated = {"probability": 0.812, "num_samples": 422, "split": "SLAKE validation"}
    sure = {"probability": 0.9999, "num_samples": 9, "split": "ours"}
    stand_in.scripts = [
        writes("a", calibrated=calibrated),
        writes("b"),
        writes("c", calibrated=sure),
    ]
    first, second, third = (ask(window, question) for question in ("1?", "2?", "3?"))
    figure = "81 of 100 such answers were right: SLAKE validation, n = 422."
    expect(first.locator(".figure")).to_have_text(figure)
    none = "It has not been measured how often answers like this are right."
    expect(second.locator(".figure")).to_have_text(none)
    expect(third.locator(".figure")).to_contain_text("99 of 100")
    # The model's own confidence, 0.9371, is not calibrated and stands nowhere.
    assert not any(number in window.locator("#turns").inner_html() for number in ("93", "0.94"))


def test_your_read_first_holds_the_question_back_until_it_is_written(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    window.get_by_role("switch", name="Your read first").check(force=True)
    expect(window.locator("#own-read")).to_be_focused()
    window.locator("#question").fill("Is there a mass?")
    window.keyboard.press("Enter")
    expect(window.locator("#ask-problem")).to_have_text(
        "Write your own read first. The answer comes after it."
    )
    window.locator(".chip").first.click()
    assert stand_in.asked == []
    window.locator("#own-read").fill("A mass in the left lung.")
    turn = ask(window, "Is there a mass?")
    assert stand_in.asked[0]["own_read"] == "A mass in the left lung."
    own, answer = turn.locator(".own"), turn.locator(".answer")
    expect(own).to_contain_text("A mass in the left lung.")
    own_box, answer_box = own.bounding_box(), answer.bounding_box()
    assert own_box is not None
    assert answer_box is not None
    assert own_box["y"] == answer_box["y"]
    assert own_box["x"] + own_box["width"] <= answer_box["x"]
    # The next question needs a read of its own.
    assert window.locator("#own-read").input_value() == ""


@pytest.mark.slow
def test_accept_edit_and_reject_are_kept_and_shown(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    turn = ask(window, "Is there a mass?")
    accept, reject_button, edit = turn.locator(".verdict > .buttons button").all()
    accept.click()
    expect(turn.locator(".verdicts li")).to_have_count(1)
    edit.click()
    text, reason = turn.locator(".verdict-form textarea").all()
    assert text.input_value() == "yes"
    text.fill("")
    turn.locator(".verdict-form [type=submit]").click()
    expect(turn.get_by_role("alert")).to_have_text("Write the answer as it should be.")
    text.fill("a cyst")
    expect(turn.get_by_role("alert")).to_be_hidden()
    reason.fill("Too sharp for a mass.")
    turn.locator(".verdict-form [type=submit]").click()
    expect(turn.locator(".verdicts li").last).to_contain_text("a cyst")
    reject_button.click()
    turn.locator(".verdict-form [type=submit]").click()
    expect(turn.get_by_role("alert")).to_have_text("Write why the answer is rejected.")
    assert stand_in.log.count("POST /api/cases/k3v900000000/verdicts") == 2
    window.keyboard.press("Escape")
    expect(turn.locator(".verdict-form")).to_have_count(0)
    expect(reject_button).to_be_focused()
    kept = stand_in.cases["k3v900000000"]["history"][0]["verdicts"]
    assert [verdict["decision"] for verdict in kept] == ["accept", "edit"]
    assert (kept[1]["text"], kept[1]["reason"]) == ("a cyst", "Too sharp for a mass.")


@pytest.mark.slow
def test_a_reload_and_the_way_back_bring_the_history_of_a_case(
    window: Page, stand_in: StandIn, small_image: Path, film: Path
) -> None:
    load_image(window, small_image)
    reject(ask(window, "Is there a mass?"), "There is none.")
    window.reload()
    expect(window.locator(".turn h3")).to_have_text("Is there a mass?")
    expect(window.locator(".verdicts .reject")).to_contain_text("There is none.")
    assert window.locator(".turn [role=alert]:not(:empty)").count() == 0
    load_image(window, film)
    expect(window.locator(".turn")).to_have_count(0)
    window.go_back()
    expect(window.locator(".turn h3")).to_have_text("Is there a mass?")
    window.get_by_role("button", name="Forget this image").click()
    expect(window.locator("#choose")).to_be_visible()
    assert list(stand_in.cases) == ["k3v900000001"]


@pytest.mark.slow
def test_an_image_is_taken_by_drop_and_by_paste(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    content = list(small_image.read_bytes())
    give = """([content, kind]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(content)], "picture.dcm"));
        const event = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        document.getElementById("stage").dispatchEvent(event);
    }"""
    for count, kind in enumerate(("drop", "paste"), start=1):
        window.evaluate(give, [content, kind])
        expect(window.locator("#case")).to_contain_text(f"k3v9{count - 1:08d}")
        assert len(stand_in.cases) == count


def test_the_whole_way_is_gone_by_keyboard(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    keyboard = window.keyboard
    choosers: list[FileChooser] = []
    window.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108

    def go_to(selector: str, key: str) -> None:
        for _ in range(40):
            if window.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
            keyboard.press(key)
        pytest.fail(f"no way by {key} to {selector}")

    keyboard.press("Tab")
    expect(window.locator(".skip")).to_be_focused()
    go_to("#choose", "Tab")
    keyboard.press("Enter")
    eventually(window, lambda: choosers)
    choosers[0].set_files(small_image)
    expect(window.locator("#question")).to_be_focused()
    keyboard.type("Is there a mass?")
    keyboard.press("Enter")
    turn = finished_turn(window, "Is there a mass?")
    go_to(".verdict .buttons button:nth-child(2)", "Shift+Tab")
    keyboard.press("Enter")
    keyboard.type("There is none.")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(turn.locator(".verdicts .reject")).to_contain_text("There is none.")
    go_to(".export button:nth-child(3)", "Shift+Tab")
    with window.expect_download() as download:
        keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".json")
    keyboard.press("?")
    expect(window.locator("#keys")).to_be_visible()
    keyboard.press("Escape")
    keyboard.press("/")
    expect(window.locator("#question")).to_be_focused()
    assert stand_in.asked[0]["question"] == "Is there a mass?"


@pytest.mark.slow
def test_single_keys_can_be_switched_off(window: Page, small_image: Path) -> None:
    load_image(window, small_image)
    window.keyboard.press("?")
    window.locator("#keys-on").uncheck(force=True)
    window.keyboard.press("Escape")
    window.keyboard.press("/")
    expect(window.locator("#question")).not_to_be_focused()
    window.keyboard.press("?")
    expect(window.locator("#keys")).to_be_hidden()
