"""Every word of the page stands in one table, in four languages; nothing else of it is loose."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from page_driver import ask, load_image, reject
from page_stand_in import NOTICE, PAGE, StandIn, alert, tells, writes
from playwright.sync_api import Browser, Page, expect

import tinymed.serve
from tinymed.safe.gate import AlertCode, GateName, GateOutcome
from tinymed.safe.safe_answer import Finding
from tinymed.serve.readiness import State

STRINGS: dict[str, dict[str, str]] = json.loads((PAGE / "strings.json").read_text())
SCRIPTS = {path.name: path.read_text() for path in sorted(PAGE.glob("*.js"))}
MARKUP = (PAGE / "index.html").read_text()
STYLES = {path.name: path.read_text() for path in sorted(PAGE.glob("*.css"))}
LANGUAGES = ("en", "fr", "pt", "sw")

OUTCOMES = ("passed", "warned", "withheld", "not-applicable", "off")
FAMILIES = {
    "alert.${code}": get_args(AlertCode),
    "answer.${text}": ("yes", "no"),
    "report.finding.${answer.finding}": get_args(Finding),
    "report.finding.${finding}": get_args(Finding),
    "report.gate.${gate}": get_args(GateName),
    "report.outcome.${outcome}": OUTCOMES,
    "report.verdict.${decision}": ("accept", "reject", "edit"),
    "preset.${name}": ("own", "full", "ct-lung", "ct-soft", "ct-bone", "ct-brain", "manual"),
    "server.${kind}": ("loading", "failed", "draining", "lost", "expired"),
    "state.${state}": (*get_args(State), "lost"),
    "verdict.save-${decision}": ("reject", "edit"),
}
"""Keys that are put together, and from what."""


class _Markup(HTMLParser):
    """What of a page is words, and what keys."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.keys: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []

    def handle_data(self, data: str) -> None:
        if any(letter.isalpha() for letter in data):
            self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "data-t" or name.startswith("data-t-"):
                self.keys.append(value or "")


@pytest.fixture(scope="module")
def markup() -> _Markup:
    parser = _Markup()
    parser.feed(MARKUP)
    return parser


def _literals(script: str) -> list[str]:
    without = re.sub(r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*", "", script, flags=re.DOTALL)
    return [a or b for a, b in re.findall(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`', without)]


def test_every_key_has_words_in_every_language_with_the_same_places() -> None:
    for key, row in STRINGS.items():
        assert tuple(row) == LANGUAGES, key
        assert all(words.strip() == words != "" for words in row.values()), key
        places = {language: sorted(re.findall(r"\{\w+\}", row[language])) for language in row}
        assert all(found == places["en"] for found in places.values()), key


def test_the_notice_is_the_one_of_every_surface() -> None:
    assert STRINGS["report.notice"]["en"] == NOTICE


def test_the_markup_holds_no_word_style_script_or_foreign_address(markup: _Markup) -> None:
    assert markup.words == []
    spoken = {"title", "alt", "placeholder", "aria-label", "aria-description", "label", "summary"}
    names = {name for _, name, _ in markup.attributes}
    assert names & spoken == set()
    assert not [name for name in names if name.startswith("on") or name == "style"]
    tags = {tag for tag, _, _ in markup.attributes}
    assert "style" not in tags
    sources = [value for _, name, value in markup.attributes if name in ("src", "href", "action")]
    assert all(value.startswith(("/page/", "#")) for value in sources)


@pytest.mark.parametrize("name", sorted(SCRIPTS | STYLES))
def test_scripts_and_styles_name_no_other_host_and_make_no_markup(name: str) -> None:
    text = (SCRIPTS | STYLES)[name].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|['\"(]//|@import|url\(", text)
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|createContextualFragment|eval\(|"
        r"new Function|\balert\(|confirm\(|prompt\(|sessionStorage|indexedDB|document\.cookie"
    )
    assert not re.search(forbidden, text)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_scripts_hold_no_words_for_people(name: str) -> None:
    literals = _literals(SCRIPTS[name])
    sentences = [
        text for text in literals if re.search(r"[A-Z][a-z]+ [a-z]|[a-z]+ [a-z]+ [a-z]", text)
    ]
    assert sentences == []
    places = r"(?:(?:textContent|placeholder|title|ariaLabel|innerText) =|words:)"
    put = places + r" ?[\"'`][^\"'`$]*[A-Za-z]"
    assert not re.search(put, SCRIPTS[name])


def test_every_key_that_is_used_exists_and_every_key_is_used(markup: _Markup) -> None:
    literals = {text for script in SCRIPTS.values() for text in _literals(script)}
    families = {text for text in literals if "${" in text and "." in text.partition("${")[0]}
    families = {text for text in families if re.match(r"[a-z-]+[.]", text)}
    assert families == set(FAMILIES)
    made = {
        re.sub(r"\$\{.*?\}", part, family) for family, parts in FAMILIES.items() for part in parts
    }
    first_words = {key.partition(".")[0] for key in STRINGS if "." in key}
    named = {text for text in literals if re.fullmatch(r"[a-z-]+\.[a-z._-]+\w", text)}
    named = {text for text in named if text.partition(".")[0] in first_words}
    named |= {text for text in literals if text in STRINGS} | set(markup.keys) | made
    assert named - set(STRINGS) == set()
    unused = set(STRINGS) - named
    of_the_report = {key for key in unused if key.startswith("report.")}
    assert unused - of_the_report == set()


def test_the_reports_keys_are_used_by_the_report() -> None:
    folder = Path(tinymed.serve.__file__).parent / "report"
    sources = "\n".join(path.read_text() for path in folder.glob("*.py"))
    if not sources:
        pytest.skip("this tree has no report yet")
    prefixes = set(re.findall(r'f"(report\.[a-z_.]*)\{', sources))
    for key in (key for key in STRINGS if key.startswith("report.")):
        assert f'"{key}"' in sources or any(key.startswith(prefix) for prefix in prefixes), key


def test_what_gates_may_say_is_translated() -> None:
    outcomes = get_args(GateOutcome.__annotations__["outcome"]) or OUTCOMES
    wanted = [f"alert.{code}" for code in get_args(AlertCode)]
    wanted += [f"report.gate.{gate}" for gate in get_args(GateName)]
    wanted += [f"report.outcome.{outcome}" for outcome in outcomes]
    assert set(wanted) <= set(STRINGS)


QUOTED = (
    "[lang='en'] *, [lang='en'], h3, .own p, .words, .file-name, .facts *, .own-words, kbd, "
    ".small, #live"
)
"""What is quoted, in whatever language it came, is a time or a key, or says such."""


def test_with_a_table_of_signs_no_letter_is_left_on_the_page(
    browser: Browser, running: object, stand_in: StandIn, small_image: Path
) -> None:
    """The page in a language of one sign: whatever is still in letters came from no table."""
    table = {key: dict.fromkeys(LANGUAGES, "¤") for key in STRINGS}
    page = browser.new_page(viewport={"width": 1024, "height": 768}, locale="en-US")
    page.route("**/page/strings.json", lambda route: route.fulfill(json=table))
    page.goto(running.url)  # type: ignore[attr-defined]
    stand_in.alerts = [alert("blurred")]
    load_image(page, small_image)
    # Not the sign for "suggestion": all of them are alike here.
    stand_in.scripts = [writes("a ", "b", alerts=[alert("contradiction", withholds=True)])]
    turn = ask(page, "q")
    reject(turn, "r", shown="¤")
    turn.locator(".verdict > .buttons button").nth(2).click()
    stand_in.scripts = [tells(("queued", {"ahead": 3}))]
    page.locator("#question").fill("q2")
    page.locator("#send").click()
    expect(page.locator(".turn").last.locator(".problem")).to_be_visible()
    page.locator("#help").click()
    page.evaluate("document.documentElement.removeAttribute('lang')")
    loose = page.evaluate(
        """(quoted) => {
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const loose = [];
            while (walker.nextNode()) {
                const { textContent, parentElement } = walker.currentNode;
                if (/\\p{L}/u.test(textContent) && !parentElement.closest(quoted)) {
                    loose.push(textContent);
                }
            }
            for (const name of ["title", "aria-label", "placeholder", "alt", "aria-valuetext"]) {
                for (const node of document.querySelectorAll(`[${name}]`)) {
                    if (/\\p{L}/u.test(node.getAttribute(name))) {
                        loose.push(`${name}: ${node.getAttribute(name)}`);
                    }
                }
            }
            return loose;
        }""",
        QUOTED,
    )
    page.close()
    assert loose == []


def test_the_browsers_language_is_taken_and_another_is_remembered(
    browser: Browser, running: object, stand_in: StandIn, small_image: Path
) -> None:
    context = browser.new_context(locale="fr-FR", viewport={"width": 1024, "height": 768})
    page = context.new_page()
    page.goto(running.url)  # type: ignore[attr-defined]
    expect(page.locator("#choose")).to_have_text("Choisir une image")
    assert page.evaluate("document.documentElement.lang") == "fr"
    page.locator("#language").select_option("sw")
    expect(page.locator("#choose")).to_have_text("Chagua picha")
    page.locator("#theme").select_option("light")
    page.reload()
    expect(page.locator("#choose")).to_have_text("Chagua picha")
    load_image(page, small_image)
    # Suggested in the reader's language, asked in English: the model reads no other.
    chip = page.locator(".chip").first
    assert chip.inner_text() == STRINGS["suggest.plane"]["sw"]
    chip.click()
    expect(page.locator(".turn h3")).to_have_text(STRINGS["suggest.plane"]["en"])
    expect(page.locator(".turn .translated")).to_have_text(STRINGS["suggest.plane"]["sw"])
    assert [asked["question"] for asked in stand_in.asked] == [STRINGS["suggest.plane"]["en"]]
    expect(page.locator("#ask-hint")).to_contain_text("Kiingereza")
    # What was written while the language was another one changes with it.
    expect(page.locator(".turn .words")).to_have_text("ndiyo")
    page.locator("#language").select_option("pt")
    expect(page.locator(".turn .words")).to_have_text("sim")
    stored = page.evaluate("Object.entries({ ...localStorage })")
    assert sorted(stored) == [["tinymed-language", "pt"], ["tinymed-theme", "light"]]
    context.close()


@pytest.mark.slow
def test_a_notice_that_is_not_ours_is_shown_as_the_server_says_it(
    window: Page, stand_in: StandIn
) -> None:
    stand_in.page["notice"] = "Another notice."
    window.reload()
    expect(window.locator("#notice")).to_have_text("Another notice.")
    window.locator("#language").select_option("fr")
    expect(window.locator("#notice")).to_have_text("Another notice.")


@pytest.mark.slow
def test_an_alert_of_the_image_is_a_line_with_its_answers(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    stand_in.alerts = [alert("blurred"), alert("image-out-of-scope")]
    load_image(window, small_image)
    withheld = alert("image-out-of-scope", withholds=True)
    stand_in.scripts = [writes("x", alerts=[alert("blurred"), alert("glare"), withheld])]
    turn = ask(window, "What is this?")
    expect(turn.locator(".alert")).to_have_count(3)
    expect(turn.locator(".alert.line")).to_have_count(1)
    expect(turn.locator(".alert.line")).to_contain_text("The picture is blurred")
    expect(window.locator("#case .alert.line")).to_have_count(0)


@pytest.mark.slow
def test_an_alert_that_the_page_does_not_know_is_said_in_the_servers_words(
    window: Page, stand_in: StandIn, small_image: Path
) -> None:
    load_image(window, small_image)
    row = {"alerts": [alert("brand-new", "Something new is wrong.")]}
    stand_in.scripts = [writes("x", **row)]
    turn = ask(window, "What is this?")
    expect(turn.locator(".alert p").first).to_have_text("Something new is wrong.")
