"""Leakage, audit and judge as tables and drawings, whatever fields they have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from made_up_run import MEAN

from tinymed.evaluate.report.audit_shown import audit_sections
from tinymed.evaluate.report.facts import fact_tables, list_table
from tinymed.evaluate.report.judge_shown import judge_section
from tinymed.evaluate.report.leakage_shown import leakage_section
from tinymed.pages.document import Figure, Section, Table, Text


def tables(section: Section) -> dict[str, list[list[str]]]:
    return {
        block.caption: [[cell.text for cell in row.cells] for row in block.groups[0].rows]
        for block in section.blocks
        if isinstance(block, Table)
    }


def test_leakage_is_counted_as_a_share_of_the_samples() -> None:
    leakage = {"num_samples": 200, "num_train": 50, "same_file": 20, "of_a_new_kind": 1}
    assert tables(leakage_section(leakage)) == {
        "How many of the 200 samples share something with the 50 train samples": [
            ["the very same image file", "20", "10.0 %"],
            ["of a new kind", "1", "0.5 %"],
        ]
    }


def test_a_count_of_train_samples_is_no_share_of_the_samples() -> None:
    leakage = {"num_samples": 200, "num_unreadable_train": 2, "near_image_method": {"bits": 40}}
    assert tables(leakage_section(leakage)) == {
        "How it was looked for": [["unreadable train", "2"]],
        "How it was looked for: near image method": [["bits", "40"]],
    }


def test_two_examples_of_each_kind_stand_with_their_question() -> None:
    found = [{"sample": str(one), "train": "t", "distance_bits": 0} for one in range(5)]
    leakage = {"examples": {"same_file": found, "same_question": found[:1], "odd": "text"}}
    section = leakage_section(leakage, questions={"0": MEAN})
    assert tables(section)["Examples: a sample and a train sample"] == [
        ["the very same image file", "0", "t", "0", MEAN],
        ["the very same image file", "1", "t", "0", "–"],
        ["the same question, about any image", "0", "t", "0", MEAN],
    ]


def test_examples_may_be_a_plain_list() -> None:
    section = leakage_section({"examples": [{"sample": "7"}]})
    assert tables(section) == {"Examples: a sample and a train sample": [["7"]]}


def test_where_leakage_was_not_looked_for_the_report_says_so() -> None:
    (block,) = leakage_section(None).blocks
    assert isinstance(block, Text)
    assert block.paragraphs[0].startswith("Not checked in this run")


def test_a_long_list_is_thinned_and_says_so() -> None:
    table = list_table([{"place": number} for number in range(100)], "Curve")
    places = [row.cells[0].text for row in table.groups[0].rows]
    assert (len(places), places[0], places[-1]) == (12, "0", "99")
    assert table.remarks == ("12 of 100 rows, evenly chosen.",)
    assert list_table([{"place": 1}] * 12, "Curve").remarks == ()


def test_objects_in_a_row_become_columns_and_empty_columns_go() -> None:
    rows = [{"is_on": True, "chosen": {"num_used": 1}, "none": None}, {"is_on": False}]
    table = list_table(rows, "Rows")
    assert [column.title for column in table.columns] == ["is on", "chosen used"]
    found = [[cell.text for cell in row.cells] for row in table.groups[0].rows]
    assert found == [["yes", "1"], ["no", "–"]]


def test_a_figure_brings_its_interval_or_why_there_is_none() -> None:
    figures = {
        "auroc": {"value": 0.5, "interval": [0.4, 0.6]},
        "brier": {"value": None, "interval": None, "reason": "All are right."},
    }
    (table,) = fact_tables(figures, caption="")
    cells = [row.cells[1] for row in table.groups[0].rows]
    assert [(cell.text, cell.detail) for cell in cells] == [
        ("0.500", "[0.400,\xa00.600]"),
        ("–", "All are right."),
    ]


@pytest.fixture
def audit(audit_folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((audit_folder / "audit.json").read_text())
    return found


def test_an_audit_gets_a_section_for_each_of_its_parts(audit: dict[str, Any]) -> None:
    sections = audit_sections({**audit, "num_samples": 9})
    assert [section.title for section in sections] == [
        "Audit",
        "Audit: confidence",
        "Audit: polarity",
        "Audit: image use",
    ]
    assert len({section.id for section in sections}) == 4
    assert tables(sections[2]) == {
        "Polarity": [["used", "9"]],
        "Polarity: rows": [[MEAN, "0.500"]],
    }


def test_bins_and_curve_of_an_audit_are_drawn_and_not_listed(audit: dict[str, Any]) -> None:
    section = audit_sections(audit)[0]
    reliability, risk = [block for block in section.blocks if isinstance(block, Figure)]
    assert reliability.caption.startswith("Closed, raw. How often the model is right")
    assert "At a confidence of 90.0 % the accuracy is 50.0 %." in reliability.description
    assert len(ET.fromstring(reliability.svg).findall("g/circle")) == 1
    assert "Answering 100.0 % of the questions, 50.0 %" in risk.description
    assert list(tables(section)) == ["Confidence"]
    assert tables(section)["Confidence"] == [["closed", "raw", "0.250", "0.500", "–"]]


def test_bins_that_stand_alone_are_drawn_too() -> None:
    bins = [
        {"confidence": 0.9, "accuracy": 0.5, "n": 3},
        {"confidence": 0.1, "accuracy": 0.0, "n": 0},
    ]
    (section,) = audit_sections({"calibration": {"ece": 0.1, "bins": bins}})
    assert [type(block) for block in section.blocks] == [Text, Figure, Table]
    figure = section.blocks[1]
    assert isinstance(figure, Figure)
    assert figure.description.startswith("Answers in 1 groups by confidence")


@pytest.mark.parametrize("odd", [{}, {"a": []}, {"a": None}, {"a": [[]]}, {"a": [{"b": [1]}]}])
def test_an_odd_audit_is_no_error(odd: dict[str, Any]) -> None:
    audit_sections(odd)


def test_a_judges_groups_stand_with_both_orders(judge_folder: Path) -> None:
    section = judge_section(json.loads((judge_folder / "judge.json").read_text()))
    found = tables(section)
    assert found["The answers' score in percent of the references', with its 95 % interval"] == [
        [MEAN, "9", "51.5", "52.5", "8.00", "4.00", "1"]
    ]
    assert found["Replies without scores"] == [["3", "swapped", "no scores"]]
    assert found["The judge's run"] == [["judge model", "a judge"]]


@pytest.mark.parametrize("odd", [{}, {"groups": None}, {"groups": [{}], "order": None}])
def test_an_odd_judge_file_is_no_error(odd: dict[str, Any]) -> None:
    judge_section(odd)
