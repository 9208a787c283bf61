"""Data sets as the Hugging Face hub and its package `datasets` store them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.data.imported import ImportedSet
from tinymed.data.request import ImportRequest
from tinymed.data.rows import (
    answer_type_or_by_answer,
    count_empty_answer,
    find_image,
    text_of,
)
from tinymed.data.stored_images import store_image
from tinymed.data.tables import Table, open_table
from tinymed.errors import ConfigError, DataError
from tinymed.progress import Progress
from tinymed.records import Sample

COLUMNS = {
    "id": ("id", "question_id", "qid"),
    "question": ("question",),
    "answer": ("answer",),
    "image": ("image", "img", "image_path"),
    "answer_type": ("answer_type",),
}
"""What is looked for, and the columns it is found in where the request names none."""
REQUIRED = ("question", "answer")

_SHARD = re.compile(r"(.+?)-\d+-of-\d+")


def import_hugging_face(request: ImportRequest) -> ImportedSet:
    """Import a folder of `datasets.save_to_disk`, or of parquet files, or one such file.

    Splits are as the folder says: by `dataset_dict.json`, by file names such as
    `train-00000-of-00007.parquet`, or by the folders that hold numbered files. Images inside
    the files are written beside the import. Where there is no column of answer types, a
    question is closed if its answer is yes or no.

    Raises:
        ConfigError: If a column is named that is not there, or one is missing.
        DataError: If nothing is there to import, or a file or an image is not as expected.
    """
    splits = _saved_splits(request.path) or parquet_splits(request.path)
    if not splits:
        raise DataError(
            f"'{request.path}' holds neither parquet files nor what datasets.save_to_disk writes."
        )
    if request.split is not None:
        if len(splits) > 1:
            raise DataError(
                f"'{request.path}' holds the splits {', '.join(splits)}: --split names only one."
            )
        splits = {request.split: next(iter(splits.values()))}
    return import_tables(
        request, splits, name=request.path.resolve().stem, licence="not stated", source="own files"
    )


def parquet_splits(path: Path) -> dict[str, list[Path]]:
    """Parquet files by the split they belong to; empty where there are none.

    >>> [_split_of(Path(name)) for name in ("data/train-00000-of-00007-f2d0.parquet",
    ...     "default/test/0000.parquet", "questions.parquet")]
    ['train', 'test', 'questions']
    """
    files = [path] if path.suffix == ".parquet" else sorted(path.rglob("*.parquet"))
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(_split_of(file), []).append(file)
    return splits


def import_tables(
    request: ImportRequest,
    splits: Mapping[str, Sequence[Path]],
    *,
    name: str,
    licence: str,
    source: str,
) -> ImportedSet:
    """Import splits that are tables of questions."""
    remarks: Counter[str] = Counter()
    return ImportedSet(
        name=name,
        licence=licence,
        source=source,
        splits={
            split: _samples(open_table(files), split, request, remarks)
            for split, files in splits.items()
        },
        remarks=remarks,
    )


def _split_of(file: Path) -> str:
    if match := _SHARD.match(file.stem):
        return match.group(1)
    return file.parent.name if file.stem.isdigit() else file.stem


def _saved_splits(path: Path) -> dict[str, list[Path]]:
    """Arrow files by split, as save_to_disk lists them; empty where it wrote nothing here."""
    if (path / "dataset_dict.json").is_file():
        names = _noted(path / "dataset_dict.json", "splits")
        return {name: _arrow_files(path / name) for name in names}
    if (path / "state.json").is_file():
        split = _noted(path / "state.json", "_split") or "all"
        return {split: _arrow_files(path)}
    return {}


def _arrow_files(folder: Path) -> list[Path]:
    state = folder / "state.json"
    if _noted(state, "_indices_data_files"):
        raise DataError(
            f"'{folder}' is a selection of rows that was saved without being flattened: call "
            "flatten_indices() before save_to_disk()."
        )
    return [folder / entry["filename"] for entry in _noted(state, "_data_files") or ()]


def _noted(file: Path, name: str) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"'{file}' is not what datasets.save_to_disk writes.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Turns the rows of one split into samples."""

    split: str
    columns: Mapping[str, str]
    """Column of each of COLUMNS that is there."""
    labels: Mapping[str, Sequence[str]]
    request: ImportRequest
    remarks: Counter[str]

    def sample(self, row: dict[str, Any], number: int) -> Sample:
        where = f"{self.request.path.name} {self.split}, row {number}"
        found = {
            name: self._value(row[column], column, where=where)
            for name, column in self.columns.items()
        }
        reference = text_of(found, "answer", where=where, remarks=self.remarks)
        count_empty_answer(reference, split=self.split, remarks=self.remarks)
        image = self._image(found.get("image"), where=where)
        return Sample(
            id=self._id(found.get("id"), number),
            question=text_of(found, "question", where=where, remarks=self.remarks),
            reference=reference,
            answer_type=answer_type_or_by_answer(
                found, reference, where=where, remarks=self.remarks
            ),
            image=image,
            group="" if image is None else image.name,
        )

    def _id(self, value: Any, number: int) -> str:
        if value in (None, ""):
            self.remarks[f"{self.split}: no id; the row's number, from 0, serves"] += 1
            return f"{self.split}-{number}"
        return str(value)

    def _value(self, value: Any, column: str, *, where: str) -> Any:
        if column not in self.labels or not isinstance(value, int):
            return value
        words = self.labels[column]
        if not 0 <= value < len(words):
            raise DataError(f"{where}: column '{column}' is {value}, a label without a name.")
        self.remarks[f"column '{column}': number of a label replaced by its name"] += 1
        return words[value]

    def _image(self, value: Any, *, where: str) -> Path | None:
        content, name = value, None
        if isinstance(value, dict):
            content, name = value.get("bytes"), value.get("path")
        elif isinstance(value, str):
            content, name = None, value
        if isinstance(content, bytes):
            return store_image(content, self.request.images_out, where=where, remarks=self.remarks)
        if name:
            folder = self.request.images or self.request.path
            return find_image(name, (folder if folder.is_dir() else folder.parent,), where=where)
        if content is not None:
            raise DataError(f"{where}: the image is neither bytes nor the name of one file.")
        self.remarks["question without an image"] += 1
        return None


def _samples(
    table: Table, split: str, request: ImportRequest, remarks: Counter[str]
) -> list[Sample]:
    columns = _chosen(table, request)
    for unused in sorted(set(table.columns) - set(columns.values())):
        remarks[f"{split}: column '{unused}' is not used"] += 1
    reader = _Reader(
        split=split, columns=columns, labels=table.labels, request=request, remarks=remarks
    )
    samples = []
    with Progress(split, total=table.num_rows) as progress:
        for number, row in enumerate(table.rows()):
            samples.append(reader.sample(row, number))
            progress.step()
    return samples


def _chosen(table: Table, request: ImportRequest) -> dict[str, str]:
    there = f"its columns are {', '.join(table.columns)}"
    for name, column in request.columns.items():
        if column not in table.columns:
            raise ConfigError(f"'{request.path}' has no column '{column}' for {name}: {there}.")
    chosen = {}
    for name, usual in COLUMNS.items():
        found = [column for column in usual if column in table.columns]
        if name in request.columns:
            chosen[name] = request.columns[name]
        elif found:
            chosen[name] = found[0]
        elif name in REQUIRED:
            raise ConfigError(
                f"'{request.path}' has no column '{name}': {there}; say which it is with "
                f"--column {name}=NAME."
            )
    return chosen
