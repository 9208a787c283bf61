"""A case on paper: everything that was said is there, whatever was typed, in four languages."""

from __future__ import annotations

import inspect
import io
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reportlab.pdfbase.pdfmetrics import stringWidth

sys.path.insert(0, str(Path(__file__).parent))

from made_up_case import BLURRED, answer, entry, report, verdict

from tinymed.errors import ConfigError
from tinymed.records import NOTICE
from tinymed.serve.report import letters, pdf
from tinymed.serve.report.case_report import case_json
from tinymed.serve.report.letters import Letters, register_fonts
from tinymed.serve.report.pdf import case_pdf
from tinymed.serve.report.words import Words, _table

_LANGUAGES = ("en", "fr", "pt", "sw")


def _pages(content: bytes) -> list[str]:
    """Each page's text, as a reader copies it."""
    pypdfium2 = pytest.importorskip("pypdfium2", reason="reads the PDF back")
    document = pypdfium2.PdfDocument(content)
    pages = [document[index].get_textpage().get_text_bounded() for index in range(len(document))]
    document.close()
    return [unicodedata.normalize("NFKC", " ".join(page.split())) for page in pages]


def _text(*history: dict[str, Any], language: str = "en", **changed: Any) -> str:
    return " ".join(_pages(case_pdf(report(*history, **changed), language=language)))


def test_everything_that_was_said_is_on_paper() -> None:
    verdicts = [
        verdict(reason="Clear angle."),
        verdict(decision="edit", text="no effusion", user=""),
    ]
    text = _text(entry(own_read="Small effusion.", verdicts=verdicts))
    for said in (
        "Case k3v9x2m4p7q8",
        "ab" * 32,
        "5f" * 32,
        "2022 × 2022",
        "CHEST",
        "window center 2048, width 4096",
        "nano, openvino-int8",
        "Is there an effusion?",
        "2026-11-22 14:00:00 UTC",
        "Small effusion.",
        "Answer yes",
        "Finding present",
        "81% of answers like this one, as measured on 422 questions of SLAKE validation.",
        "picture quality: warned; opposite question: passed; without the image: off",
        "rejected (kofi, 2026-11-22 14:05:00 UTC) Reason: Clear angle.",
        "corrected (the user of this computer, 2026-11-22 14:05:00 UTC) Correct answer: no effus",
        "1.2 s in all; waited 0.0 s; image read in 0.5 s; first words after 0.7 s",
        "Exported by ama on 2026-11-22 14:30:00 UTC",
        "Page 1 of",
    ):
        assert said in text


def test_a_withheld_answer_says_cannot_tell_and_no_figure() -> None:
    held = answer(text="yes", is_withheld=True, finding="cannot-tell", calibrated=None)
    text = _text(entry(answer=held))
    assert "Answer cannot tell Finding cannot tell" in text
    assert "Not measured: there is no figure for this answer." in text
    assert "%" not in text


def test_a_stopped_question_and_a_case_without_questions() -> None:
    assert "Stopped before there was an answer." in _text(entry(answer=None, stopped=True))
    assert "No question was asked." in _text()


@pytest.mark.parametrize("language", _LANGUAGES)
def test_the_notice_and_the_number_stand_on_every_page(language: str) -> None:
    history = [entry(f"Question about region {number}?") for number in range(12)]
    pages = _pages(case_pdf(report(*history), language=language))
    assert len(pages) > 2
    words = Words(language)
    for number, page in enumerate(pages, start=1):
        said = " ".join(words.say("report.notice").split())
        assert unicodedata.normalize("NFKC", said) in page
        assert words.say("report.page", page=number, pages=len(pages)) in page
        assert "k3v9x2m4p7q8" in page


def test_the_english_notice_is_the_one_notice() -> None:
    assert Words("en").say("report.notice") == NOTICE


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_text_has_its_places_in_every_language(language: str) -> None:
    for key, row in _table().items():
        if key.startswith("report."):
            assert set(re.findall(r"{\w+}", row[language])) == set(re.findall(r"{\w+}", row["en"]))


def test_every_label_ends_before_its_text_begins() -> None:
    register_fonts()
    source = inspect.getsource(pdf)
    labels = set(re.findall(r'self\._field\("([\w.]+)"', source))
    assert {"own_read", "image.sha256", "times"} <= labels
    for label in labels:
        for language in _LANGUAGES:
            text = Words(language).say(f"report.{label}")
            width = stringWidth(text, pdf._FIELD.bulletFontName, pdf._FIELD.bulletFontSize)
            assert width < pdf._LABEL_WIDTH - 2, text


def test_a_language_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose en, fr, pt, sw"):
        case_pdf(report(), language="../en")


@pytest.mark.parametrize(
    "typed",
    [
        "<b>bold</b> <font size=99>&amp; <script>alert(1)</script>",
        "<para><img src='file:///etc/passwd'/>",
        "a < b > c & d &#65; ]]>",
        "{user} %s {0}",
    ],
)
def test_what_looks_like_markup_stands_as_it_was_typed(typed: str) -> None:
    given = verdict(reason=typed, text=typed, user=typed)
    text = _text(entry(typed, own_read=typed, verdicts=[given], answer=answer(text=typed)))
    assert text.count(typed) == 6


@pytest.mark.parametrize(
    "typed",
    [
        "x" * 2000,
        "word " * 400,
        pytest.param("字" * 2000, marks=pytest.mark.slow),
        "",
        "\n\n\n",
        "\x00\x1b[31m\u202e\ufeff\ud800\U0010ffff",
        "😀👩‍⚕️e\u0301",
        "هل يوجد انصباب؟",
        pytest.param("\r\n".join(["line"] * 300), marks=pytest.mark.slow),
        pytest.param("z" * 100_000, marks=pytest.mark.slow),
    ],
)
def test_whatever_is_typed_is_printed(typed: str) -> None:
    given = verdict(reason=typed, text=typed, user=typed[:64])
    printed = case_pdf(report(entry(typed, own_read=typed, verdicts=[given])), language="en")
    assert printed.startswith(b"%PDF-")
    assert _pages(printed)


def test_a_text_that_is_cut_says_so() -> None:
    assert "z [...]" in _text(entry("z" * 10_001))
    assert "[...]" not in _text(entry("z" * 10_000))


def test_a_character_without_a_letter_stands_as_its_code_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(letters, "_more_fonts", tuple)
    text = _text(entry("Есть 中?"))
    assert "[U+0415] [U+0441] [U+0442] [U+044C] [U+4E2D]?" in text
    assert "as code points in brackets" in text
    assert "as code points in brackets" not in _text(entry("Çà é São ã?"))


@pytest.mark.parametrize("typed", ["Есть ли выпот?", "የሳንባ ምች አለ?", "ปอดบวม"])
def test_other_scripts_have_letters_where_the_fonts_are_installed(typed: str) -> None:
    register_fonts()
    if not letters._more_fonts():
        pytest.skip("the package of fonts is not installed")
    used = Letters()
    assert "<font name=" in used.markup(typed)
    assert not used.has_missing
    assert not used.has_unjoined


@pytest.mark.parametrize("typed", ["هل يوجد", "יש", "क्या"])
def test_scripts_that_join_are_told_of(typed: str) -> None:
    assert "may be neither joined nor in order" in _text(entry(typed))


def test_alerts_are_told_in_the_readers_language() -> None:
    french = Words("fr").say("alert.blurred")
    assert unicodedata.normalize("NFKC", french) in _text(entry(), language="fr")


def test_an_alert_that_the_table_lacks_is_told_in_its_own_words() -> None:
    alert = BLURRED | {"code": "brand-new", "detail": "Own words."}
    assert "Own words." in _text(entry(), alerts=[alert])


def test_the_same_report_gives_the_same_bytes_and_tells_no_name_in_its_facts() -> None:
    pixels = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    first, second = (case_pdf(report(entry()), language="en", picture=pixels) for _ in range(2))
    assert first == second
    facts = first[: first.index(b"/Producer") + 200] + first[first.rindex(b"/Title") :]
    assert b"ama" not in facts


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3), (1, 3000), (3000, 1)])
def test_a_picture_in_pixels_is_printed(shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 200, dtype=np.uint8)
    printed = case_pdf(report(), language="en", picture=pixels)
    assert b"/Subtype /Image" in printed
    assert "Shown: frame 1" in " ".join(_pages(printed))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_in_a_file_is_printed_without_the_files_other_facts(kind: str) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "JANE DOE"
    Image.new("RGB", (3000, 2000), "red").save(file, kind, exif=exif)
    assert b"JANE" in file.getvalue()
    printed = case_pdf(report(), language="en", picture=file.getvalue())
    assert b"/Subtype /Image" in printed
    assert b"/Width 1200" in printed
    assert b"JANE" not in printed


@pytest.mark.slow
def test_two_hundred_questions_are_printed() -> None:
    history = [entry(f"Question about region {number}?") for number in range(200)]
    text = " ".join(_pages(case_pdf(report(*history), language="en")))
    assert all(f"region {number}?" in text for number in range(200))


def test_json_holds_every_word_as_it_was_written() -> None:
    made = report(entry("是否 \ud800 <b>"))
    assert json.loads(case_json(made)) == made
    assert made["notice"] == NOTICE
    assert made["exported"] == {"by": "ama", "at": "2026-11-22T14:30:00Z"}
    assert "是否".encode() in case_json(made)


def test_threads_that_print_at_once_do_not_mix() -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = [report(entry(f"Number {number} {'абв'[number % 3]}?")) for number in range(6)]
    alone = [case_pdf(one, language="en") for one in made]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda one: case_pdf(one, language="en"), made))
    assert together == alone
