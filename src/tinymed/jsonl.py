"""Samples and predictions as JSON lines, the form in which stages meet."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.records import Prediction, Sample
from tinymed.runs import write_bytes

REQUIRED = ("id", "question", "reference", "answer_type")
_OPTIONAL_TEXT = ("image", "group", "modality", "body_part", "question_type", "context")


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSON-lines file.

    Raises:
        DataError: If the file cannot be read or a line is not a JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read '{path}': {error}.") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"'{path}' line {number} is not JSON: {error.msg}.") from error
        if not isinstance(row, dict):
            raise DataError(f"'{path}' line {number} is not a JSON object.")
        yield number, row


def read_samples(path: Path) -> list[Sample]:
    """Read samples; a relative `image` is taken from the file's folder.

    Raises:
        DataError: If a line lacks a field, has a wrong type or repeats an id.
    """
    samples: list[Sample] = []
    seen: set[str] = set()
    folder = path.resolve().parent
    for number, row in read_lines(path):
        sample = _sample(row, where=f"'{path}' line {number}", folder=folder)
        if sample.id in seen:
            raise DataError(f"'{path}' line {number} repeats the id '{sample.id}'.")
        seen.add(sample.id)
        samples.append(sample)
    if not samples:
        raise DataError(f"'{path}' holds no samples.")
    return samples


def _sample(row: dict[str, Any], *, where: str, folder: Path) -> Sample:
    values = dict(row)
    for name in REQUIRED:
        if name not in values:
            raise DataError(f"{where} has no '{name}'.")
    for name in (*REQUIRED, *_OPTIONAL_TEXT):
        if isinstance(values.get(name), int | float):
            values[name] = str(values[name])
        if name not in REQUIRED and not values.get(name):
            values.pop(name, None)
        elif not isinstance(values[name], str):
            raise DataError(f"{where}: '{name}' is not text.")
    if values["answer_type"] not in ("open", "closed"):
        raise DataError(
            f"{where}: 'answer_type' is '{values['answer_type']}'; write 'open' or 'closed'."
        )
    if "image" in values:
        values["image"] = Path(os.path.normpath(folder / values["image"]))
    known = {field.name for field in fields(Sample)}
    return Sample(**{name: value for name, value in values.items() if name in known})


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples, whole or not at all; images under the file's folder become relative."""
    folder = path.resolve().parent
    lines = []
    for sample in samples:
        row = {
            name: value
            for name, value in asdict(sample).items()
            if name in REQUIRED or value not in (None, "")
        }
        if sample.image is not None:
            row["image"] = os.path.relpath(sample.image, folder)
        lines.append(json.dumps(row, ensure_ascii=False))
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def samples_digest(samples: Iterable[Sample]) -> str:
    """sha256 over what is asked and expected; where the images lie does not matter."""
    digest = hashlib.sha256()
    for s in samples:
        row = [s.id, s.question, s.reference, s.answer_type, s.group]
        digest.update((json.dumps(row, ensure_ascii=False) + "\n").encode())
    return digest.hexdigest()


def read_predictions(path: Path) -> list[Prediction]:
    """Read predictions `{"id", "text", "confidence"?}`.

    Raises:
        DataError: If a line lacks a field or has a wrong type.
    """
    predictions = []
    for number, row in read_lines(path):
        if not isinstance(row.get("id"), str | int | float) or not isinstance(row.get("text"), str):
            raise DataError(f"'{path}' line {number} needs an 'id' and a 'text'.")
        confidence = row.get("confidence")
        if confidence is not None and not _is_fraction(confidence):
            raise DataError(
                f"'{path}' line {number}: 'confidence' is {confidence!r}; "
                "write a number from 0 to 1, or leave it out."
            )
        predictions.append(Prediction(id=str(row["id"]), text=row["text"], confidence=confidence))
    return predictions


def _is_fraction(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
