"""How a report says it can be made again."""

from __future__ import annotations

from made_up_run import made_up, made_up_report

from tinymed.evaluate.report.provenance import command, provenance_section
from tinymed.pages.document import Table

RUN = {
    "model": "nano",
    "samples": "test.jsonl",
    "train": "train.jsonl",
    "engine": "openvino",
    "limit": 5,
    "seed": 0,
    "date": None,
    "prompt_template": "{image}\n{question}",
}


def test_the_command_names_what_the_run_was_made_with() -> None:
    assert command(made_up_report(run=RUN)) == (
        "tinymed evaluate run nano --samples test.jsonl --train train.jsonl --engine openvino "
        "--limit 5 --out runs/again"
    )


def test_a_run_that_did_not_ask_the_controls_is_repeated_without_them() -> None:
    conditions = {"model": [made_up("closed_accuracy", 0.7)]}
    assert command(made_up_report(conditions, run={"model": "a b"})) == (
        "tinymed evaluate run 'a b' --no-controls --out runs/again"
    )


def test_everything_that_run_json_says_is_listed() -> None:
    (table,) = [
        block
        for block in provenance_section(made_up_report(run=RUN)).blocks
        if isinstance(block, Table)
    ]
    rows = {row.cells[0].text: row.cells[1].text for row in table.groups[0].rows}
    assert rows == {
        "model": "nano",
        "samples": "test.jsonl",
        "train": "train.jsonl",
        "engine": "openvino",
        "limit": "5",
        "seed": "0",
        "prompt template": "{image}\n{question}",
    }
