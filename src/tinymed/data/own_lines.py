"""A person's own questions, one JSON line each, in the shape of `Sample`."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

from tinymed.data.imported import ImportedSet
from tinymed.data.request import ImportRequest, files_by_split
from tinymed.data.rows import (
    answer_type_or_by_answer,
    count_empty_answer,
    find_image,
    text_of,
)
from tinymed.jsonl import read_lines
from tinymed.records import Sample

OPTIONAL = ("group", "modality", "body_part", "question_type", "context")


def import_own_lines(request: ImportRequest) -> ImportedSet:
    """Import lines of {"id", "question", "reference", "answer_type"?, "image"?, …}.

    Numbers become text, an answer type loses blanks and capitals, `answer` passes for
    `reference`, and where there is no answer type a yes or no answer makes a question closed;
    each is counted. A line without an id gets its number.

    Raises:
        DataError: If a line has no question or no answer, or an image is missing.
    """
    remarks: Counter[str] = Counter()
    return ImportedSet(
        name=request.path.resolve().stem,
        licence="not stated",
        source="own files",
        splits={
            split: [
                _sample(row, number, file, split, request.images or file.parent, remarks)
                for number, row in read_lines(file)
            ]
            for split, file in files_by_split(request, suffix=".jsonl").items()
        },
        remarks=remarks,
    )


def _sample(
    row: dict[str, Any],
    number: int,
    file: Path,
    split: str,
    images: Path,
    remarks: Counter[str],
) -> Sample:
    where = f"'{file}' line {number}"
    for name in sorted(set(row) - {field.name for field in fields(Sample)} - {"answer"}):
        remarks[f"field '{name}' is not kept"] += 1
    if "reference" not in row and "answer" in row:
        row = {**row, "reference": row["answer"]}
        remarks["reference given as 'answer'"] += 1
    reference = text_of(row, "reference", where=where, remarks=remarks)
    count_empty_answer(reference, split=split, remarks=remarks)
    if row.get("id") in (None, ""):
        row = {**row, "id": f"{split}-{number}"}
        remarks["no id; the line's number serves"] += 1
    return Sample(
        id=text_of(row, "id", where=where, remarks=remarks),
        question=text_of(row, "question", where=where, remarks=remarks),
        reference=reference,
        answer_type=answer_type_or_by_answer(row, reference, where=where, remarks=remarks),
        image=_image(row, images, where=where, remarks=remarks),
        **_optional(row, where=where, remarks=remarks),
    )


def _image(row: dict[str, Any], images: Path, *, where: str, remarks: Counter[str]) -> Path | None:
    if row.get("image") in (None, ""):
        remarks["question without an image"] += 1
        return None
    return find_image(text_of(row, "image", where=where, remarks=remarks), (images,), where=where)


def _optional(row: dict[str, Any], *, where: str, remarks: Counter[str]) -> dict[str, Any]:
    return {
        name: text_of(row, name, where=where, remarks=remarks)
        for name in OPTIONAL
        if row.get(name) not in (None, "")
    }
