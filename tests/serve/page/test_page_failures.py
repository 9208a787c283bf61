"""What the page does when something does not work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from page_driver import ask, eventually, load_image, shown_case
from page_stand_in import StandIn, tells
from playwright.sync_api import Page, expect

STREAM = (
    'event: queued\ndata: {"ahead":2}\n\n: wait\n\nevent: text\r\ndata: {"piece":"é\\n: x"}\r\n\r\n'
    "data: one\ndata:two\n\nevent: nothing\n\nevent: withdrawn\ndata: {}\n\nevent: text\ndata: cut"
)
EVENTS = [
    {"name": "queued", "data": '{"ahead":2}'},
    {"name": "text", "data": '{"piece":"é\\n: x"}'},
    {"name": "message", "data": "one\ntwo"},
    {"name": "withdrawn", "data": "{}"},
]


def _send(window: Page, question: str) -> None:
    window.locator("#question").fill(question)
    window.locator("#send").click()


@pytest.mark.slow
def test_a_file_that_is_no_image_is_refused_in_the_servers_words(
    window: Page, stand_in: StandIn, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not an image")
    window.locator("#file").set_input_files(text)
    problem = window.locator("#open-problem")
    expect(problem).to_contain_text("The image cannot be opened.")
    expect(problem).to_contain_text("it is a text file, not an image")
    expect(window.locator("#choose")).to_be_visible()
    (tmp_path / "empty.dcm").touch()
    window.locator("#file").set_input_files(tmp_path / "empty.dcm")
    expect(problem).to_contain_text("The file is empty.")
    stand_in.page["limits"]["max_upload_bytes"] = 1_000_000
    window.reload()
    (tmp_path / "large.dcm").write_bytes(bytes(1_000_001))
    window.locator("#file").set_input_files(tmp_path / "large.dcm")
    expect(problem).to_contain_text("The file has 2 MB; this server takes 1 MB at most.")
    assert stand_in.log.count("POST /api/cases") == 1


@pytest.mark.slow
def test_a_busy_server_is_waited_for_with_a_countdown(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    stand_in.refusals["POST cases"] = [(503, "busy", "All places are taken.", 1)]
    window.locator("#file").set_input_files(small_image)
    expect(window.locator("#uploading")).to_contain_text("The server is busy. Next try in 1 s")
    eventually(window, lambda: "#case=" in window.url)
    shown_case(window)
    stand_in.refusals["POST questions"] = [(429, "too-many-waiting", "You have 8 waiting.", 60)]
    _send(window, "Is there a mass?")
    status = window.locator(".turn .status")
    expect(status).to_have_text("The server is busy. Next try in 60 s")
    expect(status).to_have_text("The server is busy. Next try in 59 s")
    window.locator("#stop").click()
    expect(status).to_have_text("Stopped before there was an answer.")
    stand_in.refusals["POST questions"] = [(503, "busy", "All places are taken.", 1)]
    ask(window, "Is there a mass?")
    assert len(stand_in.asked) == 1


@pytest.mark.slow
def test_a_server_that_loads_fails_or_ends_is_told_and_waited_for(
    window: Page, stand_in: StandIn
) -> None:
    banner = window.locator("#banner")
    stand_in.health = {"status": "loading", "seconds": 3.1}
    window.reload()
    expect(banner.get_by_role("alert")).to_contain_text("The model is loading.")
    expect(window.locator("#state")).to_have_text("Loading")
    stand_in.health = {"status": "failed", "seconds": 9, "message": "No such model: nina."}
    expect(banner).to_contain_text("No such model: nina.")
    stand_in.health = {"status": "draining", "seconds": 9}
    expect(banner).to_contain_text("The server is shutting down.")
    stand_in.health = {"status": "ready"}
    expect(banner).to_be_hidden()
    expect(window.locator("#state")).to_have_text("Ready · nano · openvino-int8")


def test_a_line_that_breaks_off_is_no_answer_and_the_question_can_be_asked_again(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    stand_in.scripts = [tells(("queued", {"ahead": 0}), ("text", {"piece": "The lung "}))]
    _send(window, "Is the lung healthy?")
    turn = window.locator(".turn")
    expect(turn.get_by_role("alert")).to_contain_text("The connection broke")
    expect(turn.locator(".words")).to_be_hidden()
    expect(turn.locator(".verdict")).to_have_count(0)
    turn.get_by_role("button", name="Try again").click()
    expect(turn.locator(".finding")).to_be_visible()
    expect(turn).to_have_count(1)


@pytest.mark.slow
def test_an_error_in_the_stream_is_said_in_the_servers_words(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    error = ("error", {"message": "The audit cannot be written: the disk is full.", "code": "x"})
    stand_in.scripts = [tells(("queued", {"ahead": 0}), error)]
    _send(window, "Is the lung healthy?")
    problem = window.locator(".turn").get_by_role("alert")
    expect(problem).to_contain_text("The question could not be answered.")
    expect(problem).to_contain_text("The audit cannot be written: the disk is full.")
    stand_in.refusals["POST questions"] = [(400, "bad-request", "The question is too long.", None)]
    _send(window, "Why?")
    expect(window.locator(".turn").last).to_contain_text("The question is too long.")
    # What was refused is there again, to be mended.
    expect(window.locator("#question")).to_have_value("Why?")


@pytest.mark.slow
def test_a_connection_that_is_lost_comes_back_without_loss(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    ask(window, "Is there a mass?")
    window.context.set_offline(True)
    _send(window, "Is the lung healthy?")
    banner = window.locator("#banner")
    expect(banner).to_contain_text("There is no connection to the server.")
    expect(banner).to_contain_text("Next try in")
    expect(window.locator("#state")).to_have_text("No connection")
    window.context.set_offline(False)
    expect(banner).to_be_hidden()
    expect(window.locator(".turn").first.locator(".finding")).to_be_visible()
    window.locator(".turn").last.get_by_role("button", name="Try again").click()
    expect(window.locator(".turn").last.locator(".finding")).to_be_visible()
    assert [asked["question"] for asked in stand_in.asked] == [
        "Is there a mass?",
        "Is the lung healthy?",
    ]


@pytest.mark.slow
def test_a_case_that_is_gone_is_loaded_again_with_one_press(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    old = load_image(window, small_image)
    stand_in.cases.clear()
    stand_in.cases["another"] = {}
    _send(window, "Is the lung healthy?")
    banner = window.locator("#banner")
    expect(banner).to_contain_text("The server no longer holds this image")
    expect(window.locator(".turn")).to_contain_text("Not answered")
    banner.get_by_role("button", name="Load the image again").click()
    expect(window).not_to_have_url(re.compile(old))
    expect(banner).to_be_hidden()
    shown_case(window)
    ask(window, "Is the lung healthy?")


@pytest.mark.slow
def test_an_address_of_a_case_that_is_gone_asks_for_the_image(
    window: Page, stand_in: StandIn
) -> None:
    window.evaluate("location.hash = '#case=k3v9gone'")
    expect(window.locator("#open-problem")).to_contain_text("The server no longer holds this image")
    expect(window.locator("#choose")).to_be_visible()
    assert "#" not in window.url


@pytest.mark.parametrize("status", [503, pytest.param(500, marks=pytest.mark.slow)])
def test_a_verdict_that_is_not_kept_is_said_and_not_lost(
    window: Page, stand_in: StandIn, small_image: Path, status: int
) -> None:
    load_image(window, small_image)
    turn = ask(window, "Is there a mass?")
    refusal = (status, "no-audit", "The audit cannot be written: the disk is full.", None)
    stand_in.refusals["POST verdicts"] = [refusal]
    turn.locator(".verdict > .buttons button").nth(1).click()
    turn.locator("textarea").fill("There is none.")
    turn.locator("[type=submit]").click()
    problem = turn.locator(".verdict .problem")
    expect(problem).to_contain_text("Your decision was not kept.")
    expect(problem).to_contain_text("the disk is full")
    expect(turn.locator(".verdicts li")).to_have_count(0)
    assert turn.locator("textarea").input_value() == "There is none."
    turn.locator("[type=submit]").click()
    expect(turn.locator(".verdicts .reject")).to_contain_text("There is none.")
    expect(problem).to_have_count(0)


@pytest.mark.slow
def test_a_record_that_cannot_be_made_is_said(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    stand_in.refusals["GET report.pdf"] = [(500, "defect", "The server failed at this.", None)]
    window.locator(".export button").nth(1).click()
    expect(window.locator("#open-problem")).to_contain_text("The server failed at this.")


@pytest.mark.slow
def test_sign_in_asks_refuses_waits_and_lets_in(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    stand_in.passwords = {"amina": "a good password"}
    window.reload()
    expect(window.locator("#name")).to_be_focused()
    expect(window.locator("#notice")).to_be_visible()
    window.keyboard.type("amina")
    window.keyboard.press("Enter")
    problem = window.locator("#sign-in-problem")
    expect(problem).to_have_text("Write your name and your password.")
    window.keyboard.type("wrong")
    window.keyboard.press("Enter")
    expect(problem).to_have_text("The name or the password is wrong.")
    stand_in.refusals["POST sign-in"] = [(429, "too-many-tries", "Too many.", 2)]
    window.locator("#password").fill("a good password")
    window.keyboard.press("Enter")
    expect(problem).to_have_text("Too many tries. The next one is possible in 2 s.")
    expect(window.locator("#sign-in-button")).to_be_disabled()
    expect(window.locator("#sign-in-button")).to_be_enabled()
    window.locator("#sign-in-button").click()
    expect(window.locator("#user")).to_have_text("amina")
    load_image(window, small_image)
    ask(window, "Is there a mass?")
    # The session ends in the middle of work: after signing in, all is still there.
    stand_in.refusals["POST questions"] = [(401, "sign-in", "Sign in.", None)]
    _send(window, "Is the lung healthy?")
    window.locator("#name").fill("amina")
    window.locator("#password").fill("a good password")
    window.locator("#sign-in-button").click()
    expect(window.locator(".turn")).to_have_count(2)
    expect(window.locator("#question")).to_have_value("Is the lung healthy?")
    window.get_by_role("button", name="Sign out").click()
    expect(window.locator("#name")).to_be_visible()
    expect(window.locator(".turn")).to_have_count(0)


def test_a_stream_is_read_alike_wherever_it_is_cut(window: Page) -> None:
    found = window.evaluate(
        """async (stream) => {
            const { EventParser } = await import("/page/events.js");
            const read = (pieces) => {
                const parser = new EventParser();
                return JSON.stringify(pieces.flatMap((piece) => parser.push(piece)));
            };
            const cuts = Array.from(stream, (_, at) => [stream.slice(0, at), stream.slice(at)]);
            return [...new Set([read([stream]), read(Array.from(stream)), ...cuts.map(read)])];
        }""",
        STREAM,
    )
    assert [json.loads(events) for events in found] == [EVENTS]
