"""Reading a judge's reply."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymed.evaluate.judge.parse import Scores, Unparsed, parse_scores, parse_strictly, rated

CASES = json.loads((Path(__file__).parent / "judge-aggregation.json").read_text())

READ = {
    "8 6": (8, 6),
    "8, 6": (8, 6),
    "8\t6": (8, 6),
    "8 6   ": (8, 6),
    "8  6": (8, 6),
    "8; 6": (8, 6),
    "8 | 6": (8, 6),
    "8 and 6": (8, 6),
    "(8, 6)": (8, 6),
    "[8 6].": (8, 6),
    "8.5 7.25": (8.5, 7.25),
    "10 0": (10, 0),
    "8/10 6/10": (8, 6),
    "8 / 10, 6 / 10": (8, 6),
    "8 6\n\nAssistant 1 names 3 of 4 findings.": (8, 6),
    "\n \n8 6\nwhy": (8, 6),
    "**8 6**\nwhy": (8, 6),
    "**8** **6**": (8, 6),
    "`8 6`": (8, 6),
    "### 8 6": (8, 6),
    "> 8 6": (8, 6),
    "- 8 6": (8, 6),
    "Scores: 9 6": (9, 6),
    "**Scores:** 9, 6": (9, 6),
    "The two scores are: 1.25 and 1.5.": (1.25, 1.5),
    "**Scores:**\n\n9 6\nwhy": (9, 6),
    "Assistant 1: 8 Assistant 2: 4": (8, 4),
    "Assistant 1: 8/10, Assistant 2: 4/10.": (8, 4),
    "assistant 2 = 4; assistant 1 = 8": (8, 4),
    "**Assistant 1:** 8\n**Assistant 2:** 4\nwhy": (8, 4),
    "The score of assistant 1 is 10, and the score of assistant 2 is 2.": (10, 2),
    "<think>Perhaps 1 2?\nOr 3 4.</think>\n8 6\nwhy": (8, 6),
    "Perhaps 1 2?</think>8 6": (8, 6),
    "<THINK>1 2</THINK><think>3 4</think> 8 6": (8, 6),
    "8 6\n<think>Was that right?": (8, 6),
}

REFUSED = {
    "": "empty",
    " \n \n": "empty",
    "**": "empty",
    "<think>8 6": "empty",
    "8": "no two scores",
    "8\n6": "no two scores",
    "8 6 7": "no two scores",
    "8 6 The first is better.": "no two scores",
    "I would say 8 6": "no two scores",
    "8,6": "no two scores",
    "8/6": "no two scores",
    "8-6": "no two scores",
    "8:6": "no two scores",
    "8*6": "no two scores",
    "-3 5": "no two scores",
    "8/100 6/100": "no two scores",
    "8e0 6": "no two scores",
    "nan 6": "no two scores",
    "inf inf": "no two scores",
    "X Y": "no two scores",
    "\u0668 \u0666": "no two scores",
    "Assistant 1: 8": "no two scores",
    "Assistant 1: 8 Assistant 1: 4": "no two scores",
    "Assistant 1: 8 Assistant 3: 4": "no two scores",
    "The score of assistant 1 is 10 out of 20, and the score of assistant 2 is 10 out of 20.": (
        "no two scores"
    ),
    "11 6": "above 10",
    "8 10.5": "above 10",
    "80 60": "above 10",
    "8 6" + " " * 300 + ".": "no two scores",
}


@pytest.mark.parametrize("reply", READ)
def test_two_scores_are_read_in_any_clear_shape(reply: str) -> None:
    first, second = READ[reply]
    assert parse_scores(reply) == Scores(first=first, second=second)


@pytest.mark.parametrize("reply", REFUSED)
def test_what_could_mean_anything_else_is_unparsed_and_says_why(reply: str) -> None:
    found = parse_scores(reply)
    assert isinstance(found, Unparsed)
    assert REFUSED[reply] in found.reason


@given(st.text() | st.text(alphabet="0123456789 .,/:<think>*Asitn\n"))
def test_no_reply_makes_the_parser_raise_or_leave_the_scale(reply: str) -> None:
    found = parse_scores(reply)
    assert isinstance(found, Unparsed) or 0 <= min(found.first, found.second) <= 10
    parse_strictly(reply)


def test_a_hostile_reply_takes_no_time() -> None:
    assert isinstance(parse_scores("<think>" * 100_000), Unparsed)
    assert isinstance(parse_scores("8 " * 100_000), Unparsed)


WRITTEN_OUT = {
    "(blank first line)": "\n8 4",
    "8<TAB>4": "8\t4",
    "8 4 (trailing space)": "8 4 ",
}
TOLERANT = {
    "8, 4": (8, 4),
    "Assistant 1: 8 Assistant 2: 4": (8, 4),
    "(blank first line)": (8, 4),
    "8<TAB>4": (8, 4),
    "8 4 (trailing space)": (8, 4),
    "0 4": (0, 4),
}


@pytest.mark.parametrize("case", TOLERANT)
def test_replies_that_stop_the_published_evaluation_are_unparsed_or_read(case: str) -> None:
    assert CASES["malformed_first_lines"][case] in ("ValueError", "ZeroDivisionError")
    reply = WRITTEN_OUT.get(case, case)
    assert isinstance(parse_strictly(reply), Unparsed)
    first, second = TOLERANT[case]
    assert parse_scores(reply) == Scores(first=first, second=second)


def test_the_strict_parser_reads_what_the_published_one_reads() -> None:
    assert parse_strictly("9 9.5\nwhy") == Scores(first=9, second=9.5)
    assert parse_strictly("90 60") == Scores(first=90, second=60)  # as there
    assert isinstance(parse_strictly("nan 4"), Unparsed)


def test_a_reference_without_a_point_gives_no_ratio_in_either_order() -> None:
    reason = "the reference's score is 0, so there is no ratio"
    assert rated(Scores(first=0, second=4), "published") == Unparsed(reason=reason)
    assert rated(Scores(first=4, second=0), "swapped") == Unparsed(reason=reason)
    assert rated(Unparsed(reason="why"), "swapped") == Unparsed(reason="why")
