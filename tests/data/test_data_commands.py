"""`tinymed data` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinymed.data.check import check_samples
from tinymed.data.sources import SOURCES

if TYPE_CHECKING:
    from tests.conftest import RunCli

LINE = {"id": "1", "question": "Normal?", "reference": "Yes", "answer_type": "closed"}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_list_names_every_set_with_licence_and_whether_it_can_be_fetched(cli: RunCli) -> None:
    rows = json.loads(cli("data", "list", "--json").out)
    assert {row["name"]: row["can_be_fetched"] for row in rows} == {
        "vqa-rad": True,
        "slake": True,
        "pathvqa": True,
        "llava-med-chat": True,
        "jsonl": False,
        "llava-json": False,
        "hf": False,
    }
    shown = cli("data", "list").out
    for source in SOURCES.values():
        assert f"{source.name}\n  licence: {source.licence}\n" in shown
        assert source.needs in shown


def test_own_lines_are_imported_and_what_was_mended_is_told(cli: RunCli, tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", LINE, LINE | {"answer_type": "OPEN "})
    out = tmp_path / "out"
    outcome = cli("data", "import", "jsonl", str(file), "--out", str(out), "--split", "test")
    assert outcome.code == 0
    assert outcome.out == f"{out}/test.jsonl: test, 2 questions (1 open, 1 closed) on 0 images\n"
    assert outcome.err.splitlines() == [
        "  2 x question without an image",
        "  1 x answer_type written 'OPEN '",
        "  1 x id repeated (made unique with ~2, ~3 and so on)",
    ]


@pytest.mark.parametrize("source", ["", "test.jsonl"], ids=["folder", "file"])
def test_the_files_that_are_read_are_not_written_over(
    cli: RunCli, tmp_path: Path, source: str
) -> None:
    file = write(tmp_path / "test.jsonl", LINE | {"id": 7})
    before = file.read_bytes()
    outcome = cli("data", "import", "jsonl", str(tmp_path / source), "--out", str(tmp_path))
    assert outcome.code == 2
    assert "is where the files are read from: name another folder" in outcome.err
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_one_sentence(cli: RunCli, tmp_path: Path) -> None:
    file = write(tmp_path / "test.jsonl", LINE)
    (tmp_path / "taken").touch()
    outcome = cli("data", "import", "jsonl", str(file), "--out", str(tmp_path / "taken"))
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: Cannot import to '{tmp_path / 'taken'}': [Errno 17]")


def test_a_column_option_without_a_name_is_refused(cli: RunCli, tmp_path: Path) -> None:
    outcome = cli(
        "data", "import", "hf", str(tmp_path), "--out", str(tmp_path / "o"), "--column", "question"
    )
    assert outcome.code == 2
    assert outcome.err == (
        "error: --column 'question': write it as FIELD=NAME, as in question=prompt.\n"
    )


def test_a_sound_file_passes_the_check(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    file = write(tmp_path / "test.jsonl", LINE | {"image": "a.png", "group": "p"})
    outcome = cli("data", "check", str(file))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{file}: 1 questions (0 open, 1 closed) on 1 images\n"


def test_everything_wrong_with_a_file_is_counted_at_once(cli: RunCli, tmp_path: Path) -> None:
    file = write(
        tmp_path / "test.jsonl",
        LINE | {"image": "gone.png", "reference": " "},
        LINE | {"answer_type": "CLOSED "},
        {"id": 2, "question": "", "reference": ["yes"]},
    )
    found = check_samples(file)
    assert (found.num_samples, found.num_open, found.num_closed) == (3, 0, 1)
    assert found.faults == {
        "answer_type 'CLOSED ' (tinymed data import jsonl mends it)": 1,
        "no 'answer_type'": 1,
        "'reference' is neither text nor a number": 1,
        "id repeated": 1,
        "image file missing": 1,
    }
    assert found.oddities == {
        "answer is empty (training leaves it out)": 1,
        "'reference' has blanks around it": 1,
        "'answer_type' has blanks around it": 1,
        "'id' is a number": 1,
        "question is empty": 1,
        "no image": 2,
        "no group (its image stands for it in intervals)": 3,
    }
    outcome = cli("data", "check", str(file), "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["faults"] == found.faults
    assert outcome.err.startswith(f"error: '{file}' cannot be used as it is: answer_type 'CLOSED '")


def test_an_empty_file_fails_the_check(cli: RunCli, tmp_path: Path) -> None:
    file = write(tmp_path / "test.jsonl")
    outcome = cli("data", "check", str(file))
    assert (outcome.code, outcome.err) == (
        2,
        f"error: '{file}' cannot be used as it is: no line.\n",
    )
