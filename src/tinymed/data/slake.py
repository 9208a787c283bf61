"""SLAKE: bilingual radiology questions; the English ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.data.imported import ImportedSet
from tinymed.data.rows import read_rows, sample_of, text_of
from tinymed.errors import DataError
from tinymed.records import Sample

FILES = {"train": "train.json", "validation": "validate.json", "test": "test.json"}


def import_slake(folder: Path) -> ImportedSet:
    """Import SLAKE's English questions; splits whose file is absent are left out.

    Chinese questions are left out and counted: they reuse English test images, so one
    must not train on them and test on English.

    Raises:
        DataError: If no split is there, an image is missing, or a row is not as expected.
    """
    remarks: Counter[str] = Counter()
    splits = {
        split: _samples(folder, split, remarks)
        for split, name in FILES.items()
        if (folder / name).exists()
    }
    if not splits:
        raise DataError(f"No SLAKE files ({', '.join(FILES.values())}) in '{folder}'.")
    return ImportedSet(
        name="slake",
        licence="CC BY 4.0",
        source="Liu et al. 2021, https://www.med-vqa.com/slake",
        splits=splits,
        remarks=remarks,
    )


def _samples(folder: Path, split: str, remarks: Counter[str]) -> list[Sample]:
    samples = []
    for row in read_rows(folder / FILES[split]):
        if row.get("q_lang") != "en":
            remarks[f"question in {row.get('q_lang')!r} left out"] += 1
            continue
        samples.append(_sample(row, folder, split, remarks))
    return samples


def _sample(row: dict[str, Any], folder: Path, split: str, remarks: Counter[str]) -> Sample:
    where = f"SLAKE {split}, question {row.get('qid')!r}"
    image_name = text_of(row, "img_name", where=where, remarks=remarks)
    image = folder / "imgs" / image_name
    return replace(
        sample_of(row, image, where=where, split=split, remarks=remarks),
        group=image_name,
        modality=row.get("modality"),
        body_part=row.get("location"),
        question_type=row.get("content_type"),
    )
