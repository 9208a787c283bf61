"""Importing VQA-RAD and SLAKE: counts of the real files, and every known trap."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinymed.data.imported import ImportedSet, write_imported
from tinymed.data.request import ImportRequest
from tinymed.data.sources import import_set as import_requested
from tinymed.errors import ConfigError, DataError
from tinymed.jsonl import read_samples

DATA = Path(os.environ.get("TINYMED_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs the public data sets in the folder TINYMED_DATA"
)

RAD = {
    "qid": "7",
    "image_name": "a.jpg",
    "image_organ": "CHEST",
    "question": "Normal? ",
    "answer": "Yes",
    "answer_type": "CLOSED",
    "question_type": "PRES",
    "phrase_type": "freeform",
}
SLAKE = {
    "qid": 3,
    "img_name": "x/source.jpg",
    "question": "Which organ?",
    "answer": "Lung",
    "answer_type": "OPEN",
    "q_lang": "en",
    "modality": "CT",
    "location": "Lung",
    "content_type": "Organ",
}

Write = Callable[..., Path]


def import_set(name: str, folder: Path) -> ImportedSet:
    return import_requested(name, ImportRequest(path=folder))


@pytest.fixture
def rad(tmp_path: Path) -> Write:
    def write(*rows: dict[str, Any]) -> Path:
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / "a.jpg").touch()
        path = tmp_path / "VQA_RAD Dataset Public.json"
        path.write_text(json.dumps([{**RAD, **row} for row in rows]))
        return tmp_path

    return write


@pytest.fixture
def slake(tmp_path: Path) -> Write:
    def write(*rows: dict[str, Any]) -> Path:
        (tmp_path / "imgs" / "x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "imgs" / "x" / "source.jpg").touch()
        (tmp_path / "test.json").write_text(json.dumps([{**SLAKE, **row} for row in rows]))
        return tmp_path

    return write


@needs_data
def test_vqa_rad_has_the_published_counts(tmp_path: Path) -> None:
    manifest = write_imported(import_set("vqa-rad", DATA / "vqa-rad"), tmp_path)
    counts = {
        split: (facts["num_samples"], facts["num_open"], facts["num_closed"])
        for split, facts in manifest["splits"].items()  # type: ignore[attr-defined]
    }
    assert counts == {
        "train": (1797, 770, 1027),
        "test": (451, 179, 272),
        "train-3064": (3064, 1241, 1823),
    }
    assert manifest["remarks"] == {
        "qid given as text, not as a number": 1,
        "answer given as a number": 15,
        "answer_type written 'CLOSED '": 4,
    }


@needs_data
def test_no_official_training_question_is_a_test_question() -> None:
    splits = import_set("vqa-rad", DATA / "vqa-rad").splits
    assert not {s.id for s in splits["train"]} & {s.id for s in splits["test"]}


@needs_data
def test_slake_has_the_published_counts_and_no_image_in_two_splits(tmp_path: Path) -> None:
    splits = import_set("slake", DATA / "slake").splits
    assert {name: len(samples) for name, samples in splits.items()} == {
        "train": 4919,
        "validation": 1053,
    }
    assert not {s.image for s in splits["train"]} & {s.image for s in splits["validation"]}


def test_test_questions_are_those_whose_phrase_type_says_so(rad: Write) -> None:
    folder = rad({}, {"qid": "8", "phrase_type": "test_para"}, {"qid": "9", "phrase_type": "para"})
    splits = import_set("vqa-rad", folder).splits
    assert {name: [s.id for s in rows] for name, rows in splits.items()} == {
        "train": ["7", "9"],
        "test": ["8"],
    }


def test_blanks_and_numbers_are_mended_and_counted(rad: Write) -> None:
    imported = import_set("vqa-rad", rad({"answer_type": "CLOSED ", "answer": 4, "qid": 7}))
    [sample] = imported.splits["train"]
    assert (sample.id, sample.answer_type, sample.reference) == ("7", "closed", "4")
    assert sample.question == "Normal?"
    assert imported.remarks == {"answer given as a number": 1, "answer_type written 'CLOSED '": 1}


def test_an_unknown_answer_type_is_refused_not_dropped(rad: Write) -> None:
    with pytest.raises(DataError, match="answer_type is 'yes/no'; expected OPEN or CLOSED"):
        import_set("vqa-rad", rad({"answer_type": "yes/no"}))


def test_a_missing_image_is_named(rad: Write) -> None:
    with pytest.raises(DataError, match=r"no image '.*gone.jpg'"):
        import_set("vqa-rad", rad({"image_name": "gone.jpg"}))


def test_an_empty_answer_is_kept_and_counted(slake: Write) -> None:
    imported = import_set("slake", slake({"answer": ""}))
    assert imported.splits["test"][0].reference == ""
    assert imported.remarks == {"test: answer is empty (kept; training leaves it out)": 1}


def test_chinese_questions_become_splits_of_their_own_and_say_whose_images(slake: Write) -> None:
    imported = import_set(
        "slake", slake({}, {"qid": 4, "q_lang": "zh", "question": "这是什么？", "answer": "肺"})
    )
    assert {name: [s.id for s in rows] for name, rows in imported.splits.items()} == {
        "test": ["3"],
        "test-zh": ["4"],
    }
    [chinese] = imported.splits["test-zh"]
    assert (chinese.reference, chinese.group) == ("肺", imported.splits["test"][0].group)
    assert imported.remarks == {"Chinese question (in test-zh; about images of test)": 1}


def test_a_question_in_another_language_is_left_out_and_counted(slake: Write) -> None:
    imported = import_set("slake", slake({}, {"qid": 4, "q_lang": "vi"}))
    assert [s.id for s in imported.splits["test"]] == ["3"]
    assert imported.remarks == {"question in 'vi' left out": 1}


def test_the_hubs_name_of_the_validation_file_is_known(slake: Write) -> None:
    folder = slake({})
    (folder / "test.json").rename(folder / "validation.json")
    assert list(import_set("slake", folder).splits) == ["validation"]
    (folder / "validate.json").write_text("[]")
    with pytest.raises(
        DataError, match=r"'validate.json' and 'validation.json', which are the sam"
    ):
        import_set("slake", folder)


def test_images_that_are_still_in_their_archive_are_asked_for(slake: Write) -> None:
    folder = slake({})
    (folder / "imgs" / "x" / "source.jpg").rename(folder / "imgs.zip")
    (folder / "imgs" / "x").rmdir()
    (folder / "imgs").rmdir()
    with pytest.raises(DataError, match=r"Unpack '.*imgs.zip' first"):
        import_set("slake", folder)


def test_images_may_lie_where_the_authors_download_puts_them(rad: Write) -> None:
    folder = rad({})
    (folder / "images").rename(folder / "VQA_RAD Image Folder")
    [sample] = import_set("vqa-rad", folder).splits["train"]
    assert sample.image == folder.resolve() / "VQA_RAD Image Folder" / "a.jpg"


def test_a_text_id_among_numbers_is_kept_and_counted(rad: Write) -> None:
    imported = import_set("vqa-rad", rad({"qid": 8}, {"qid": "0"}))
    assert [s.id for s in imported.splits["train"]] == ["8", "0"]
    assert imported.remarks == {"qid given as text, not as a number": 1}


def test_a_row_without_an_id_is_refused(rad: Write) -> None:
    with pytest.raises(DataError, match="question None has no 'qid'"):
        import_set("vqa-rad", rad({"qid": None}))


def test_a_repeated_id_is_made_unique_and_counted(slake: Write) -> None:
    imported = import_set("slake", slake({}, {"question": "And this?"}))
    assert [s.id for s in imported.splits["test"]] == ["3", "3~2"]
    assert imported.remarks == {"id repeated (made unique with ~2, ~3 and so on)": 1}


def test_importing_again_gives_the_same_bytes(slake: Write, tmp_path: Path) -> None:
    folder = slake({}, {"qid": 4, "q_lang": "zh"})
    written = []
    for name in ("one", "two"):
        write_imported(import_set("slake", folder), tmp_path / name)
        written.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert written[0] == written[1]


def test_what_was_written_reads_back(slake: Write, tmp_path: Path) -> None:
    imported = import_set("slake", slake({}, {"qid": 5, "answer": "左肺 – ünï"}))
    write_imported(imported, tmp_path / "out")
    assert read_samples(tmp_path / "out" / "test.jsonl") == imported.splits["test"]


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No SLAKE files"):
        import_set("slake", tmp_path)
    with pytest.raises(DataError, match=r"No file '.*Public.json'"):
        import_set("vqa-rad", tmp_path)
    (tmp_path / "test.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        import_set("slake", tmp_path)


def test_an_unknown_set_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No data set 'vqarad'. Known: vqa-rad, slake, "):
        import_set("vqarad", tmp_path)
