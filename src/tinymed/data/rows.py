"""Reading the JSON lists that public VQA sets come as."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.records import AnswerType, Sample

ANSWER_TYPES: dict[str, AnswerType] = {"OPEN": "open", "CLOSED": "closed"}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a JSON file that holds a list of objects.

    Raises:
        DataError: If it is missing or holds something else.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"No file '{path}'. Name the folder that holds it.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"'{path}' is not JSON: {error}.") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"'{path}' is not a list of questions.")
    return rows


def text_of(row: dict[str, Any], name: str, *, where: str, remarks: Counter[str]) -> str:
    """A field as text; a number becomes its digits and is counted.

    Raises:
        DataError: If the field is missing or neither text nor number.
    """
    if name not in row:
        raise DataError(f"{where} has no '{name}'.")
    value = row[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        remarks[f"{name} given as a number"] += 1
        value = str(value)
    if not isinstance(value, str):
        raise DataError(f"{where}: '{name}' is not text.")
    return value.strip()


def answer_type_of(row: dict[str, Any], *, where: str, remarks: Counter[str]) -> AnswerType:
    """The answer type, whatever its case and surrounding blanks.

    Raises:
        DataError: If it is neither open nor closed.
    """
    written = row.get("answer_type")
    cleaned = str(written).strip().upper()
    if cleaned not in ANSWER_TYPES:
        raise DataError(f"{where}: answer_type is {written!r}; expected OPEN or CLOSED.")
    if cleaned != written:
        remarks[f"answer_type written {written!r}"] += 1
    return ANSWER_TYPES[cleaned]


def sample_of(
    row: dict[str, Any], image: Path, *, where: str, split: str, remarks: Counter[str]
) -> Sample:
    """The fields that every VQA set has: id, question, answer, answer type, image.

    Raises:
        DataError: If a field or the image is missing, or a field is not as expected.
    """
    if not image.is_file():
        raise DataError(f"{where}: no image '{image}'.")
    reference = text_of(row, "answer", where=where, remarks=remarks)
    if not reference:
        remarks[f"{split}: answer is empty (kept; training leaves it out)"] += 1
    return Sample(
        id=str(row["qid"]),
        question=text_of(row, "question", where=where, remarks=remarks),
        reference=reference,
        answer_type=answer_type_of(row, where=where, remarks=remarks),
        image=image.resolve(),
    )
