"""PathVQA and LLaVA-Med's chat questions: counts of the real files, and their traps."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tinymed.data.imported import ImportedSet, write_imported
from tinymed.data.request import ImportRequest
from tinymed.data.sources import import_set
from tinymed.errors import DataError
from tinymed.jsonl import read_samples

DATA = Path(os.environ.get("TINYMED_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs the public data sets in the folder TINYMED_DATA"
)
BY_ANSWER = "no answer_type: closed where the answer is yes or no, open otherwise"

CHAT: dict[str, Any] = {
    "question_id": 0,
    "image": "a.jpg",
    "text": "Which organ?\n<image>",
    "gpt4_answer": "The eye.",
    "fig_caption": "An eye.",
    "fig_label": "Fig. 3",
    "in_text_mention": [{"tokens": "See ( Fig. 3 ) .", "entities": []}],
    "domain": {"chest_xray": False, "mri": False, "ct_scan": False, "histology": True},
    "type": "conversation",
}


def chat(folder: Path, *rows: dict[str, Any], images: Path | None = None) -> ImportedSet:
    lines = [json.dumps({**CHAT, **row}) for row in rows]
    (folder / "llava_med_eval_qa50_qa.jsonl").write_text("\n".join(lines))
    return import_set("llava-med-chat", ImportRequest(path=folder, images=images))


def path_vqa(folder: Path, file: str, *rows: dict[str, Any]) -> ImportedSet:
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / "a.jpg").touch()
    given = {"image": "a.jpg", "question": "What?", "answer": "a nest"}
    (folder / file).write_text(json.dumps([{**given, **row} for row in rows]))
    return import_set("pathvqa", ImportRequest(path=folder))


@needs_data
def test_the_chat_set_has_the_published_counts(tmp_path: Path) -> None:
    imported = import_set("llava-med-chat", ImportRequest(path=DATA / "llava-med-qa50"))
    samples = imported.splits["test"]
    assert Counter(s.question_type for s in samples) == {
        "conversation": 143,
        "detailed_description": 50,
    }
    assert Counter(s.modality for s in samples) == {
        "chest_xray": 37,
        "mri": 38,
        "histology": 44,
        "gross": 34,
        "ct_scan": 40,
    }
    assert len({s.group for s in samples}) == 50
    assert not any("<image>" in s.question for s in samples)
    assert imported.remarks == {
        "question ends in a line '<image>' (taken off)": 193,
        "image not found (question kept without)": 193,
        "several domains (the first of the authors' order is taken)": 8,
        "no sentence that cites the figure": 14,
    }
    write_imported(imported, tmp_path)
    assert read_samples(tmp_path / "test.jsonl") == samples


@needs_data
def test_the_stored_part_of_pathvqa_is_imported_whole() -> None:
    imported = import_set("pathvqa", ImportRequest(path=DATA / "pathvqa-thumbs"))
    samples = imported.splits["test-subset"]
    assert Counter(s.answer_type for s in samples) == {"open": 572, "closed": 637}
    assert (len(samples), len({s.group for s in samples})) == (1209, 200)
    assert imported.remarks == {BY_ANSWER: 1209}


def test_a_judges_context_is_readable_text(tmp_path: Path) -> None:
    imported = chat(tmp_path, {}, {"question_id": 1, "in_text_mention": None})
    with_mention, without = imported.splits["test"]
    assert with_mention.context == (
        "Figure Caption:\nFig. 3: An eye.\n\nFigure Context:\n- See ( Fig. 3 ) ."
    )
    assert without.context == "Figure Caption:\nFig. 3: An eye."
    assert imported.remarks["no sentence that cites the figure"] == 1


def test_the_authors_order_of_domains_decides(tmp_path: Path) -> None:
    order = ["chest_xray", "mri", "histology", "gross", "ct_scan"]
    flags = [dict.fromkeys(reversed(order[start:]), True) for start in range(6)]
    rows = [{"question_id": number, "domain": domain} for number, domain in enumerate(flags)]
    imported = chat(tmp_path, *rows)
    assert [s.modality for s in imported.splits["test"]] == [*order, None]
    assert imported.remarks["several domains (the first of the authors' order is taken)"] == 4
    assert imported.remarks["no domain"] == 1


def test_a_figure_is_taken_where_it_is_and_an_empty_file_is_none(tmp_path: Path) -> None:
    elsewhere = tmp_path / "figures"
    elsewhere.mkdir()
    (elsewhere / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (elsewhere / "b.jpg").touch()
    imported = chat(tmp_path, {}, {"question_id": 1, "image": "b.jpg"}, images=elsewhere)
    assert [s.image for s in imported.splits["test"]] == [elsewhere.resolve() / "a.jpg", None]
    assert imported.remarks["image file is empty (question kept without)"] == 1


def test_mentions_that_are_no_sentences_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: 'in_text_mention' is no list of sentences"):
        chat(tmp_path, {"in_text_mention": ["See Fig. 3."]})


def test_pathvqa_questions_are_closed_by_their_answer_and_numbered(tmp_path: Path) -> None:
    imported = path_vqa(tmp_path, "val_vqa.json", {"answer": "Yes"}, {}, {"answer": 4})
    [(split, samples)] = imported.splits.items()
    assert split == "val-vqa"
    assert [(s.id, s.answer_type) for s in samples] == [
        ("val-vqa-0", "closed"),
        ("val-vqa-1", "open"),
        ("val-vqa-2", "open"),
    ]
    assert imported.remarks == {BY_ANSWER: 3, "answer given as a number": 1}


def test_pathvqa_splits_get_our_names(tmp_path: Path) -> None:
    path_vqa(tmp_path, "train.json", {})
    assert list(path_vqa(tmp_path, "val.json", {}).splits) == ["train", "validation"]


def test_pickles_are_refused_and_the_safe_layout_named(tmp_path: Path) -> None:
    (tmp_path / "qas").mkdir()
    (tmp_path / "qas" / "train_vqa.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(DataError, match=r"pickles, which can run any program.*path-vqa"):
        import_set("pathvqa", ImportRequest(path=tmp_path))


def test_a_folder_without_pathvqa_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No PathVQA files in"):
        import_set("pathvqa", ImportRequest(path=tmp_path))
