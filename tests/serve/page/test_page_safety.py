"""Whatever comes from a person, a file or the server is text on the page, never markup."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from page_driver import ask, load_image
from page_stand_in import StandIn, alert, writes
from playwright.sync_api import Page, expect

HTML = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


def test_html_from_everywhere_is_shown_as_text(
    window: Page, stand_in: StandIn, small_image: Path, tmp_path: Path
) -> None:
    named = tmp_path / "<img src=x onerror=alert(1)>.dcm"
    shutil.copy(small_image, named)
    stand_in.page |= {"user": HTML, "model": HTML, "notice": HTML}
    stand_in.facts = {"notes": [HTML], "modality": HTML, "body_part": HTML, "source": HTML}
    stand_in.alerts = [alert("blurred", HTML, figures={HTML: 1.0}), alert(HTML, HTML)]
    window.reload()
    load_image(window, named)
    calibrated = {"probability": 0.5, "num_samples": 3, "split": HTML}
    gates = [{"gate": "scope", "mode": "warn", "outcome": "passed", "why": HTML}]
    row = {"alerts": [alert("glare", HTML)], "calibrated": calibrated, "gates": gates}
    stand_in.scripts = [writes(HTML, " {question}", **row)]
    window.get_by_role("switch", name="Your read first").check(force=True)
    window.locator("#own-read").fill(HTML)
    turn = ask(window, HTML)
    turn.locator(".verdict > .buttons button").nth(2).click()
    for area in turn.locator("textarea").all():
        area.fill(HTML)
    turn.locator("[type=submit]").click()
    expect(turn.locator(".verdicts li")).to_contain_text(HTML)
    expect(turn.locator(".words")).to_have_text(HTML + " {question}")
    window.evaluate("dispatchEvent(new Event('beforeprint'))")
    for node in ("#notice", "#user", "#state", ".file-name", "#case", ".own", ".figure", "#paper"):
        expect(window.locator(node).first).to_contain_text("<img src=x")
    assert window.locator("img, script:not([src]), iframe, object").count() == 0
    assert window.title() == "tinymed: questions about an image"


@pytest.mark.slow
def test_nothing_of_a_case_is_left_in_the_browser(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    ask(window, "Is there a mass?")
    kept = window.evaluate(
        """async () => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie,
            (await indexedDB.databases()).length, (await caches.keys()).length]"""
    )
    assert kept == [[], [], "", 0, 0]
    assert window.url.endswith("#case=k3v900000000")
