"""Folders of the Hugging Face hub and of its package `datasets`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tinymed.data.imported import write_imported
from tinymed.data.request import ImportRequest
from tinymed.data.sources import import_set
from tinymed.errors import ConfigError, DataError
from tinymed.jsonl import read_samples

BY_ANSWER = "no answer_type: closed where the answer is yes or no, open otherwise"


def picture(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), shade).save(buffer, kind)
    return buffer.getvalue()


def row(**given: Any) -> dict[str, Any]:
    image = {"bytes": picture(0), "path": None}
    return {"image": image, "question": "Normal?", "answer": "yes"} | given


def parquet(path: Path, *rows: dict[str, Any], labels: dict[str, list[str]] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(*rows, labels=labels), path)


def table(*rows: dict[str, Any], labels: dict[str, list[str]] | None = None) -> pa.Table:
    made = pa.Table.from_pylist(list(rows))
    features = {
        name: {"names": words, "_type": "ClassLabel"} for name, words in (labels or {}).items()
    }
    noted = json.dumps({"info": {"features": features}})
    return made.replace_schema_metadata({"huggingface": noted})


def saved(folder: Path, *rows: dict[str, Any], **state: Any) -> None:
    """A split as datasets.save_to_disk writes it (compared with the package itself)."""
    folder.mkdir(parents=True)
    made = table(*rows)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        pa.ipc.new_stream(file, made.schema) as stream,
    ):
        stream.write_table(made)
    listed = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(listed | state))


def test_one_image_is_one_file_and_one_group(tmp_path: Path) -> None:
    source = tmp_path / "hub" / "data"
    other = {"bytes": picture(9, "JPEG"), "path": "x.jpg"}
    parquet(
        source / "train-00000-of-00002-ab.parquet", row(), row(question="Where?", answer="left")
    )
    parquet(source / "train-00001-of-00002-cd.parquet", row(image=other, answer="no"))
    parquet(source / "test-00000-of-00001-ef.parquet", row())
    out = tmp_path / "out"
    imported = import_set("pathvqa", ImportRequest(path=tmp_path / "hub", out=out))
    train, test = imported.splits["train"], imported.splits["test"]
    assert [(s.id, s.answer_type) for s in train] == [
        ("train-0", "closed"),
        ("train-1", "open"),
        ("train-2", "closed"),
    ]
    assert train[0].image == train[1].image == test[0].image
    assert len({s.group for s in train}) == 2
    assert {file.suffix for file in (out / "images").iterdir()} == {".png", ".jpg"}
    assert train[0].image is not None
    assert train[0].image.read_bytes() == picture(0)
    write_imported(imported, out)
    assert read_samples(out / "train.jsonl") == train
    assert '"images/' in (out / "train.jsonl").read_text()


def test_importing_parquet_again_gives_the_same_bytes(tmp_path: Path) -> None:
    parquet(tmp_path / "hub" / "test-00000-of-00001.parquet", row(), row(answer="no"))
    written = []
    for _ in range(2):
        request = ImportRequest(path=tmp_path / "hub", out=tmp_path / "out")
        write_imported(import_set("pathvqa", request), tmp_path / "out")
        files = (file for file in (tmp_path / "out").rglob("*") if file.is_file())
        written.append({file.name: file.read_bytes() for file in files})
    assert written[0] == written[1]
    assert len(written[0]) == 3


def test_an_image_that_a_power_cut_left_short_is_written_again(tmp_path: Path) -> None:
    parquet(tmp_path / "hub" / "test.parquet", row())
    request = ImportRequest(path=tmp_path / "hub", out=tmp_path / "out")
    [sample] = import_set("hf", request).splits["test"]
    assert sample.image is not None
    sample.image.write_bytes(b"")
    import_set("hf", request)
    assert sample.image.read_bytes() == picture(0)


def test_vqa_rads_copy_on_the_hub_says_how_it_differs(tmp_path: Path) -> None:
    parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet", row())
    request = ImportRequest(path=tmp_path / "hub", out=tmp_path / "out")
    imported = import_set("vqa-rad", request)
    assert imported.name == "vqa-rad-hub-copy"
    assert sum(remark.startswith("copy of the hub: ") for remark in imported.remarks) == 3
    assert imported.remarks[BY_ANSWER] == 1


def test_a_folder_of_save_to_disk_is_read_split_by_split(tmp_path: Path) -> None:
    source = tmp_path / "saved"
    saved(source / "train", row(), row(answer="left"))
    saved(source / "dev", row(image=None))
    (source / "dataset_dict.json").write_text('{"splits": ["train", "dev"]}')
    imported = import_set("hf", ImportRequest(path=source, out=tmp_path / "out"))
    assert {name: len(rows) for name, rows in imported.splits.items()} == {"train": 2, "dev": 1}
    assert imported.splits["dev"][0].image is None
    assert imported.remarks["question without an image"] == 1


def test_a_single_split_can_be_named(tmp_path: Path) -> None:
    saved(tmp_path / "saved", row())
    request = ImportRequest(path=tmp_path / "saved", out=tmp_path / "out")
    assert list(import_set("hf", request).splits) == ["train"]
    named = ImportRequest(path=tmp_path / "saved", out=tmp_path / "out", split="test")
    assert list(import_set("hf", named).splits) == ["test"]


def test_a_split_name_for_several_splits_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "train.parquet", row())
    parquet(tmp_path / "test.parquet", row())
    with pytest.raises(DataError, match="holds the splits test, train: --split names only one"):
        import_set("hf", ImportRequest(path=tmp_path, out=tmp_path / "out", split="x"))


def test_rows_selected_but_not_flattened_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "saved", row(), _indices_data_files=[{"filename": "indices.arrow"}])
    with pytest.raises(DataError, match=r"call flatten_indices\(\) before save_to_disk"):
        import_set("hf", ImportRequest(path=tmp_path / "saved", out=tmp_path / "out"))


def test_columns_can_be_named_and_unused_ones_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(3))
    given = {"prompt": "Where?", "truth": "left", "picture": "a.png", "kind": "OPEN", "n": 7}
    parquet(tmp_path / "mine.parquet", given)
    columns = {"question": "prompt", "answer": "truth", "image": "picture", "answer_type": "kind"}
    request = ImportRequest(path=tmp_path, columns=columns)
    imported = import_set("hf", request)
    [sample] = imported.splits["mine"]
    assert (sample.question, sample.reference, sample.answer_type) == ("Where?", "left", "open")
    assert sample.image == tmp_path.resolve() / "a.png"
    assert imported.remarks == {
        "mine: column 'n' is not used": 1,
        "mine: no id; the row's number, from 0, serves": 1,
    }


def test_numbers_of_labels_become_their_words(tmp_path: Path) -> None:
    given = row(answer=1, answer_type=0, id=4)
    labels = {"answer": ["no", "yes"], "answer_type": ["CLOSED", "OPEN"]}
    parquet(tmp_path / "hub" / "test.parquet", given, labels=labels)
    imported = import_set("hf", ImportRequest(path=tmp_path / "hub", out=tmp_path / "out"))
    [sample] = imported.splits["test"]
    assert (sample.id, sample.reference, sample.answer_type) == ("4", "yes", "closed")
    assert imported.remarks == {
        "column 'answer': number of a label replaced by its name": 1,
        "column 'answer_type': number of a label replaced by its name": 1,
    }


def test_a_label_without_a_name_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "hub" / "test.parquet", row(answer=-1), labels={"answer": ["no", "yes"]})
    with pytest.raises(DataError, match="test, row 0: column 'answer' is -1, a label without"):
        import_set("hf", ImportRequest(path=tmp_path / "hub", out=tmp_path / "out"))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({}, r"no column 'answer': its columns are question; say .* --column answer=NAME"),
        ({"answer": "truth"}, "has no column 'truth' for answer: its columns are question"),
        ({"reply": "truth"}, "--column knows no 'reply'"),
    ],
    ids=["missing", "misnamed", "unknown"],
)
def test_a_column_that_is_not_there_is_named(
    tmp_path: Path, columns: dict[str, str], sentence: str
) -> None:
    parquet(tmp_path / "mine.parquet", {"question": "Where?"})
    with pytest.raises(ConfigError, match=sentence):
        import_set("hf", ImportRequest(path=tmp_path, columns=columns))


def test_an_image_of_another_kind_is_kept_and_counted(tmp_path: Path) -> None:
    parquet(tmp_path / "hub" / "t.parquet", row(image=picture(5, "BMP")))
    imported = import_set("hf", ImportRequest(path=tmp_path / "hub", out=tmp_path / "out"))
    [sample] = imported.splits["t"]
    assert sample.image is not None
    assert sample.image.suffix == ".bmp"
    assert imported.remarks[".bmp image (kept; tinymed opens PNG, JPEG and DICOM)"] == 1


def test_bytes_that_are_no_image_are_refused(tmp_path: Path) -> None:
    page = {"bytes": b"<html>", "path": None}
    parquet(tmp_path / "hub" / "t.parquet", row(image=None), row(image=page))
    with pytest.raises(DataError, match=r"t, row 1: the image is of no known kind \(6 bytes\)"):
        import_set("hf", ImportRequest(path=tmp_path / "hub", out=tmp_path / "out"))


@pytest.mark.parametrize("name", ["t.parquet", "data-00000-of-00001.arrow"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    source = tmp_path / "hub"
    saved(source, row())
    (source / name).write_bytes(b"PAR1 nothing PAR1")
    if name == "t.parquet":
        (source / "state.json").unlink()
    with pytest.raises(DataError, match=f"Cannot read '.*{name}'"):
        import_set("hf", ImportRequest(path=source, out=tmp_path / "out"))


def test_a_folder_without_either_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds neither parquet files nor what datasets.save"):
        import_set("hf", ImportRequest(path=tmp_path))
