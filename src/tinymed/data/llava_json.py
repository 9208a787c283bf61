"""Conversations as LLaVA and its descendants store them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinymed.data.imported import ImportedSet
from tinymed.data.request import ImportRequest, files_by_split
from tinymed.data.rows import (
    answer_type_or_by_answer,
    count_empty_answer,
    find_image,
    read_rows,
    text_of,
)
from tinymed.errors import DataError
from tinymed.records import Sample

IMAGE_MARK = "<image>"
MISSPELT = "conversatons"
"""So written in LLaVA-Med's own VQA files."""


def import_llava_json(request: ImportRequest) -> ImportedSet:
    """Import lists of {"id", "image"?, "conversations": [{"from", "value"}, …], "answer_type"?}.

    Each question with its answer becomes a sample: under the row's own id where there is one,
    else as `ID#1`, `ID#2` and so on; what was said before is not part of it. Marks for the
    image are taken out, and where there is no answer type a yes or no answer makes a question
    closed; each is counted.

    Raises:
        DataError: If the turns of a row do not alternate from human to gpt, one is not text,
            or an image is missing.
    """
    remarks: Counter[str] = Counter()
    return ImportedSet(
        name=request.path.resolve().stem,
        licence="not stated",
        source="own files",
        splits={
            split: [
                sample
                for number, row in enumerate(read_rows(file))
                for sample in _samples(
                    row,
                    where=f"'{file}' row {number} (id {row.get('id')!r})",
                    split=split,
                    images=request.images or file.parent,
                    remarks=remarks,
                )
            ]
            for split, file in files_by_split(request, suffix=".json").items()
        },
        remarks=remarks,
    )


def _samples(
    row: dict[str, Any], *, where: str, split: str, images: Path, remarks: Counter[str]
) -> Iterator[Sample]:
    name = text_of(row, "id", where=where, remarks=remarks)
    image = _image(row, images, where=where, remarks=remarks)
    turns = list(_turns(row, where=where, remarks=remarks))
    if len(turns) > 1:
        remarks["conversation of several turns (one sample a turn)"] += 1
    for number, (question, answer) in enumerate(turns, start=1):
        count_empty_answer(answer, split=split, remarks=remarks)
        yield Sample(
            id=name if len(turns) == 1 else f"{name}#{number}",
            question=question,
            reference=answer,
            answer_type=answer_type_or_by_answer(row, answer, where=where, remarks=remarks),
            image=image,
            group=name if image is None else image.name,
        )


def _image(row: dict[str, Any], images: Path, *, where: str, remarks: Counter[str]) -> Path | None:
    if row.get("image") in (None, ""):
        remarks["row without an image"] += 1
        return None
    return find_image(text_of(row, "image", where=where, remarks=remarks), (images,), where=where)


def _turns(row: dict[str, Any], *, where: str, remarks: Counter[str]) -> Iterator[tuple[str, str]]:
    """Question and answer of each turn, without marks and surrounding blanks."""
    key = "conversations"
    if key not in row and MISSPELT in row:
        remarks[f"{key} spelt '{MISSPELT}'"] += 1
        key = MISSPELT
    said = row.get(key)
    if not isinstance(said, list) or not all(isinstance(turn, dict) for turn in said):
        raise DataError(f"{where} has no list 'conversations'.")
    speakers = [turn.get("from") for turn in said]
    if not said or speakers != ["human", "gpt"] * (len(said) // 2):
        order = ", ".join(map(str, speakers)) or "nobody"
        raise DataError(f"{where}: expected turns of human and gpt by turns, found {order}.")
    values = [text_of(turn, "value", where=where, remarks=remarks) for turn in said]
    for question, answer in zip(values[::2], values[1::2], strict=True):
        if IMAGE_MARK in question:
            remarks[f"'{IMAGE_MARK}' taken out of the question"] += 1
        bare = question.replace(IMAGE_MARK, "").strip()
        if not bare:
            raise DataError(f"{where} asks nothing.")
        yield bare, answer
