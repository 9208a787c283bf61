"""Looking a file of samples over before anything is trained or measured on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.jsonl import read_lines

_FIELDS = ("question", "reference", "answer_type", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a file of samples holds, and what is wrong with it."""

    num_samples: int
    num_open: int
    num_closed: int
    num_images: int
    faults: dict[str, int]
    """What keeps the file from being used, and how often."""
    oddities: dict[str, int]
    """What a person should know, and how often."""


def check_samples(path: Path) -> Check:
    """Read every line, whatever is wrong with earlier ones, and count.

    Raises:
        DataError: If the file cannot be read or a line is not a JSON object.
    """
    faults: Counter[str] = Counter()
    oddities: Counter[str] = Counter()
    types: Counter[Any] = Counter()
    images: set[Path] = set()
    ids: Counter[str] = Counter()
    num_samples = 0
    for _, row in read_lines(path):
        num_samples += 1
        types[row.get("answer_type")] += 1
        ids[str(row.get("id"))] += 1
        faults.update(_faults(row))
        oddities.update(_oddities(row))
        if row.get("image"):
            images.add(path.resolve().parent / str(row["image"]))
    faults["id repeated"] = sum(count - 1 for count in ids.values())
    faults["image file missing"] = sum(not image.is_file() for image in images)
    faults["no line"] = int(num_samples == 0)
    return Check(
        num_samples=num_samples,
        num_open=types["open"],
        num_closed=types["closed"],
        num_images=len(images),
        faults={name: count for name, count in faults.items() if count},
        oddities=dict(oddities),
    )


def _faults(row: dict[str, Any]) -> list[str]:
    found = [f"no '{name}'" for name in _FIELDS if name not in row]
    found += [
        f"'{name}' is neither text nor a number"
        for name in _FIELDS
        if name in row and not isinstance(row[name], str | int | float)
    ]
    if "answer_type" in row and row["answer_type"] not in ("open", "closed"):
        found.append(f"answer_type {row['answer_type']!r} (tinymed data import jsonl mends it)")
    return found


def _oddities(row: dict[str, Any]) -> list[str]:
    found = []
    if not str(row.get("reference", "")).strip():
        found.append("answer is empty (training leaves it out)")
    if not str(row.get("question", "")).strip():
        found.append("question is empty")
    found += [
        f"'{name}' has blanks around it"
        for name in _FIELDS
        if isinstance(row.get(name), str) and row[name] != row[name].strip()
    ]
    found += [f"'{name}' is a number" for name in _FIELDS if isinstance(row.get(name), int | float)]
    if not row.get("image"):
        found.append("no image")
    if not row.get("group"):
        found.append("no group (its image stands for it in intervals)")
    return found
