"""Reading the JSON lists that public VQA sets come as."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
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


def text_of(row: Mapping[str, Any], name: str, *, where: str, remarks: Counter[str]) -> str:
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


def answer_type_of(row: Mapping[str, Any], *, where: str, remarks: Counter[str]) -> AnswerType:
    """The answer type, whatever its case and surrounding blanks.

    Raises:
        DataError: If it is neither open nor closed.
    """
    written = row.get("answer_type")
    cleaned = str(written).strip().upper()
    if cleaned not in ANSWER_TYPES:
        raise DataError(f"{where}: answer_type is {written!r}; expected OPEN or CLOSED.")
    if written not in (cleaned, cleaned.lower()):
        remarks[f"answer_type written {written!r}"] += 1
    return ANSWER_TYPES[cleaned]


def answer_type_by_answer(answer: str) -> AnswerType:
    """Closed where the answer is yes or no, open otherwise: for files that do not say.

    >>> answer_type_by_answer("Yes."), answer_type_by_answer("no evidence of that")
    ('closed', 'open')
    """
    return "closed" if answer.strip().rstrip(".").lower() in ("yes", "no") else "open"


def answer_type_or_by_answer(
    row: Mapping[str, Any], answer: str, *, where: str, remarks: Counter[str]
) -> AnswerType:
    """The answer type as written or, where the row has none, by the answer, and counted.

    Raises:
        DataError: If what is written is neither open nor closed.
    """
    if row.get("answer_type") not in (None, ""):
        return answer_type_of(row, where=where, remarks=remarks)
    remarks["no answer_type: closed where the answer is yes or no, open otherwise"] += 1
    return answer_type_by_answer(answer)


def count_empty_answer(answer: str, *, split: str, remarks: Counter[str]) -> None:
    """Count an answer without a word."""
    if not answer:
        remarks[f"{split}: answer is empty (kept; training leaves it out)"] += 1


def find_image(name: str, folders: tuple[Path, ...], *, where: str) -> Path:
    """The image of that name in the first of the folders that has it, as an absolute path.

    Raises:
        DataError: If none has it.
    """
    for folder in folders:
        if (folder / name).is_file():
            return (folder / name).resolve()
    raise DataError(f"{where}: no image '{folders[0] / name}'.")


def sample_of(
    row: Mapping[str, Any], image: Path, *, where: str, split: str, remarks: Counter[str]
) -> Sample:
    """The fields that every VQA set has: id, question, answer, answer type, image.

    Raises:
        DataError: If a field is missing or not as expected.
    """
    if not isinstance(row.get("qid"), str | int):
        raise DataError(f"{where} has no 'qid'.")
    reference = text_of(row, "answer", where=where, remarks=remarks)
    count_empty_answer(reference, split=split, remarks=remarks)
    return Sample(
        id=str(row["qid"]),
        question=text_of(row, "question", where=where, remarks=remarks),
        reference=reference,
        answer_type=answer_type_of(row, where=where, remarks=remarks),
        image=image,
    )
