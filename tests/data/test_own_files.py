"""A person's own questions: JSON lines and LLaVA conversations, with their traps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinymed.data.imported import ImportedSet, write_imported
from tinymed.data.request import ImportRequest
from tinymed.data.sources import import_set
from tinymed.errors import ConfigError, DataError
from tinymed.jsonl import read_samples

BY_ANSWER = "no answer_type: closed where the answer is yes or no, open otherwise"
LINE = {"id": "1", "question": "Normal?", "reference": "Yes", "answer_type": "closed"}
TURNS = [{"from": "human", "value": "Normal?"}, {"from": "gpt", "value": "Yes"}]


def lines(folder: Path, *rows: dict[str, Any], **options: Any) -> ImportedSet:
    file = folder / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return import_set("jsonl", ImportRequest(path=file, **options))


def llava(folder: Path, *rows: dict[str, Any], **options: Any) -> ImportedSet:
    file = folder / "train.json"
    file.write_text(json.dumps(rows))
    return import_set("llava-json", ImportRequest(path=file, **options))


def test_a_clean_line_is_taken_as_it_is_and_nothing_is_remarked(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    given = {"image": "a.png", "group": "patient 7", "modality": "CT", "context": "A caption."}
    imported = lines(tmp_path, LINE | given)
    [sample] = imported.splits["mine"]
    assert (sample.group, sample.modality, sample.context) == ("patient 7", "CT", "A caption.")
    assert sample.image == tmp_path.resolve() / "a.png"
    assert not imported.remarks


def test_traps_of_own_lines_are_mended_and_counted(tmp_path: Path) -> None:
    row = {"id": 7, "question": " How many? ", "answer": 2, "answer_type": "OPEN ", "mood": "!"}
    imported = lines(tmp_path, row, {"question": "Normal?", "reference": "no"})
    mended, sparse = imported.splits["mine"]
    assert (mended.id, mended.question, mended.reference) == ("7", "How many?", "2")
    assert (sparse.id, sparse.answer_type) == ("mine-2", "closed")
    assert imported.remarks == {
        "field 'mood' is not kept": 1,
        "reference given as 'answer'": 1,
        "reference given as a number": 1,
        "id given as a number": 1,
        "answer_type written 'OPEN '": 1,
        "question without an image": 2,
        "no id; the line's number serves": 1,
        BY_ANSWER: 1,
    }


def test_the_two_ids_of_a_data_set_stay_apart_however_often_they_come(tmp_path: Path) -> None:
    imported = lines(tmp_path, LINE, LINE, LINE | {"id": "1~2"})
    assert [s.id for s in imported.splits["mine"]] == ["1", "1~2", "1~2~2"]
    write_imported(imported, tmp_path / "out")
    assert len(read_samples(tmp_path / "out" / "mine.jsonl")) == 3


def test_images_are_looked_for_where_the_person_says(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "a.png").touch()
    with pytest.raises(DataError, match=r"mine.jsonl' line 1: no image '.*a.png'"):
        lines(tmp_path, LINE | {"image": "a.png"})
    [sample] = lines(tmp_path, LINE | {"image": "a.png"}, images=folder).splits["mine"]
    assert sample.image == folder.resolve() / "a.png"


def test_a_split_can_be_named_for_one_file_only(tmp_path: Path) -> None:
    assert list(lines(tmp_path, LINE, split="test").splits) == ["test"]
    (tmp_path / "other.jsonl").write_text(json.dumps(LINE))
    request = ImportRequest(path=tmp_path, split="test")
    with pytest.raises(DataError, match=r"several files \(mine.jsonl, other.jsonl\)"):
        import_set("jsonl", request)
    assert list(import_set("jsonl", ImportRequest(path=tmp_path)).splits) == ["mine", "other"]


def test_a_split_name_that_is_no_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'\.\./test' cannot be a split's name"):
        lines(tmp_path, LINE, split="../test")


def test_a_line_without_a_question_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2 has no 'question'"):
        lines(tmp_path, LINE, {"id": "2", "reference": "yes"})


def test_turns_become_samples_with_numbered_ids(tmp_path: Path) -> None:
    more = [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "left"}]
    imported = llava(tmp_path, {"id": 5, "conversations": TURNS + more})
    samples = imported.splits["train"]
    assert [(s.id, s.question, s.reference, s.answer_type, s.group) for s in samples] == [
        ("5#1", "Normal?", "Yes", "closed", "5"),
        ("5#2", "Where?", "left", "open", "5"),
    ]
    assert imported.remarks == {
        "id given as a number": 1,
        "row without an image": 1,
        "conversation of several turns (one sample a turn)": 1,
        BY_ANSWER: 2,
    }


def test_traps_of_llava_files_are_mended_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    turns = [{"from": "human", "value": "How many?\n<image>"}, {"from": "gpt", "value": 2}]
    row = {"id": "q", "image": "a.png", "answer_type": "OPEN", "conversatons": turns}
    imported = llava(tmp_path, row)
    [sample] = imported.splits["train"]
    assert (sample.id, sample.question, sample.reference) == ("q", "How many?", "2")
    assert (sample.answer_type, sample.group) == ("open", "a.png")
    assert imported.remarks == {
        "conversations spelt 'conversatons'": 1,
        "value given as a number": 1,
        "'<image>' taken out of the question": 1,
    }


@pytest.mark.parametrize(
    "turns",
    [[], TURNS[:1], TURNS[::-1], [*TURNS, TURNS[0]], [{"from": "system", "value": "?"}, *TURNS]],
    ids=["none", "no answer", "answer first", "unanswered", "a third speaker"],
)
def test_turns_that_do_not_alternate_are_refused_by_name(tmp_path: Path, turns: list[Any]) -> None:
    with pytest.raises(DataError, match=r"row 1 \(id 'odd'\): expected turns of human and gpt"):
        llava(tmp_path, {"id": "a", "conversations": TURNS}, {"id": "odd", "conversations": turns})


def test_a_turn_that_asks_nothing_is_refused(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>"}, TURNS[1]]
    with pytest.raises(DataError, match=r"\(id 'a'\) asks nothing"):
        llava(tmp_path, {"id": "a", "conversations": turns})


def test_a_row_without_conversations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\(id 'a'\) has no list 'conversations'"):
        llava(tmp_path, {"id": "a"})


def test_an_option_without_an_effect_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--images has no meaning for 'slake'"):
        import_set("slake", ImportRequest(path=tmp_path, images=tmp_path))
    with pytest.raises(ConfigError, match="--column has no meaning for 'jsonl'"):
        import_set("jsonl", ImportRequest(path=tmp_path, columns={"question": "q"}))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(DataError, match=r"No file or folder '.*gone'"):
        import_set("jsonl", ImportRequest(path=gone))
    with pytest.raises(DataError, match=r"No folder '.*gone' with images"):
        import_set("jsonl", ImportRequest(path=tmp_path, images=gone))
    with pytest.raises(DataError, match=r"No .jsonl file in"):
        import_set("jsonl", ImportRequest(path=tmp_path))
