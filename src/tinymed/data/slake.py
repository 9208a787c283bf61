"""SLAKE: bilingual radiology questions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.data.imported import ImportedSet
from tinymed.data.request import ImportRequest
from tinymed.data.rows import find_image, read_rows, sample_of, text_of
from tinymed.errors import DataError
from tinymed.records import Sample

LICENCE = "CC BY 4.0"
SOURCE = "Liu et al. 2021, https://www.med-vqa.com/slake"

FILES = {
    "train": ("train.json",),
    "validation": ("validate.json", "validation.json"),  # the authors' archive, and their hub
    "test": ("test.json",),
}
LANGUAGES = {"en": "", "zh": "-zh"}
"""What is put behind a split's name for the questions of each language."""


def import_slake(request: ImportRequest) -> ImportedSet:
    """Import SLAKE; splits whose file is absent are left out.

    Chinese questions become splits of their own (`train-zh`, `validation-zh`, `test-zh`):
    those of a split are about the very images of its English questions, so one must not
    train on Chinese questions of one split and test on English ones of the same images.

    Raises:
        DataError: If no split is there, an image is missing, or a row is not as expected.
    """
    folder = request.path
    remarks: Counter[str] = Counter()
    splits: dict[str, list[Sample]] = {}
    for split in FILES:
        file = _file(folder, split)
        if file is not None:
            splits |= _by_language(read_rows(file), folder, split, remarks)
    if not splits:
        names = ", ".join(name for names in FILES.values() for name in names)
        raise DataError(f"No SLAKE files ({names}) in '{folder}'.")
    return ImportedSet(name="slake", licence=LICENCE, source=SOURCE, splits=splits, remarks=remarks)


def _file(folder: Path, split: str) -> Path | None:
    there = [folder / name for name in FILES[split] if (folder / name).exists()]
    if len(there) > 1:
        names = " and ".join(f"'{file.name}'" for file in there)
        raise DataError(f"'{folder}' holds {names}, which are the same split: remove one.")
    return there[0] if there else None


def _by_language(
    rows: list[dict[str, Any]], folder: Path, split: str, remarks: Counter[str]
) -> dict[str, list[Sample]]:
    splits: dict[str, list[Sample]] = {}
    for row in rows:
        language = row.get("q_lang")
        if language not in LANGUAGES:
            remarks[f"question in {language!r} left out"] += 1
            continue
        if language == "zh":
            remarks[f"Chinese question (in {split}-zh; about images of {split})"] += 1
        name = split + LANGUAGES[language]
        splits.setdefault(name, []).append(_sample(row, folder, name, remarks))
    return splits


def _sample(row: dict[str, Any], folder: Path, split: str, remarks: Counter[str]) -> Sample:
    where = f"SLAKE {split}, question {row.get('qid')!r}"
    image_name = text_of(row, "img_name", where=where, remarks=remarks)
    if not (folder / "imgs").is_dir() and (folder / "imgs.zip").is_file():
        raise DataError(f"Unpack '{folder / 'imgs.zip'}' first: the images are still inside.")
    image = find_image(image_name, (folder / "imgs", folder / "imgs" / "imgs"), where=where)
    return replace(
        sample_of(row, image, where=where, split=split, remarks=remarks),
        group=image_name,
        modality=row.get("modality"),
        body_part=row.get("location"),
        question_type=row.get("content_type"),
    )
