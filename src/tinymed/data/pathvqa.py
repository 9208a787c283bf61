"""PathVQA: questions about figures of pathology textbooks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tinymed.data.hugging_face import import_tables, parquet_splits
from tinymed.data.imported import ImportedSet
from tinymed.data.request import ImportRequest
from tinymed.data.rows import (
    answer_type_by_answer,
    count_empty_answer,
    find_image,
    read_rows,
    text_of,
)
from tinymed.errors import DataError
from tinymed.records import Sample

LICENCE = (
    "MIT as the authors' repository states; copyright of images and captions stays with the "
    "publishers of the two textbooks and with PEIR"
)
SOURCE = "He et al. 2020, https://github.com/UCSD-AI4H/PathVQA"

SPLITS = ("train", "val", "test")
"""What the name of a split's file begins with."""


def import_pathvqa(request: ImportRequest) -> ImportedSet:
    """Import PathVQA from parquet files (the Hugging Face hub's) or lists in JSON.

    - Parquet: columns image, question, answer; the split is in the file's name
      (flaviagiammarino/path-vqa). Its images are written beside the import.
    - JSON: `train*.json`, `val*.json`, `test*.json`, each a list of image, question and
      answer, with the image files in `images/`. `test_subset.json` becomes `test-subset`.

    PathVQA has no answer types. A question is closed where its answer is yes or no, and open
    otherwise; published tables have come by their 3,391 closed of 6,761 test questions in
    this way. Rows have no ids either: a row's place in its split serves, counted from 0.

    Raises:
        DataError: If no layout is there, or only pickles; if an image is missing or a row is
            not as expected.
    """
    folder = request.path
    tables = parquet_splits(folder)
    if tables:
        return import_tables(
            request,
            {_split_name(split): files for split, files in tables.items()},
            name="pathvqa",
            licence=LICENCE,
            source=SOURCE,
        )
    files = [file for name in SPLITS for file in sorted(folder.glob(f"{name}*.json"))]
    if not files:
        raise _nothing_to_read(folder)
    remarks: Counter[str] = Counter()
    return ImportedSet(
        name="pathvqa",
        licence=LICENCE,
        source=SOURCE,
        splits={
            split: [
                _sample(row, number, folder, split, remarks)
                for number, row in enumerate(read_rows(file))
            ]
            for file in files
            for split in (_split_name(file.stem),)
        },
        remarks=remarks,
    )


def _nothing_to_read(folder: Path) -> DataError:
    if next(folder.rglob("*.pkl"), None) is not None:
        return DataError(
            f"'{folder}' holds PathVQA as pickles, which can run any program when opened: take "
            "the parquet files of https://huggingface.co/datasets/flaviagiammarino/path-vqa "
            "(tinymed data fetch pathvqa)."
        )
    return DataError(
        f"No PathVQA files in '{folder}': expected parquet files, or train*.json, val*.json, "
        "test*.json beside images/."
    )


def _split_name(written: str) -> str:
    """A split's name in our words.

    >>> _split_name("val"), _split_name("test_subset"), _split_name("validation")
    ('validation', 'test-subset', 'validation')
    """
    return "validation" if written == "val" else written.replace("_", "-")


def _sample(
    row: dict[str, Any], number: int, folder: Path, split: str, remarks: Counter[str]
) -> Sample:
    where = f"PathVQA {split}, row {number}"
    image_name = text_of(row, "image", where=where, remarks=remarks)
    reference = text_of(row, "answer", where=where, remarks=remarks)
    count_empty_answer(reference, split=split, remarks=remarks)
    remarks["no answer_type: closed where the answer is yes or no, open otherwise"] += 1
    return Sample(
        id=f"{split}-{number}",
        question=text_of(row, "question", where=where, remarks=remarks),
        reference=reference,
        answer_type=answer_type_by_answer(reference),
        image=find_image(image_name, (folder / "images", folder), where=where),
        group=image_name,
    )
