"""VQA-RAD: radiology questions by clinicians, with the splits in use."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.data.imported import ImportedSet
from tinymed.data.rows import read_rows, sample_of, text_of
from tinymed.records import Sample

OFFICIAL_FILE = "VQA_RAD Dataset Public.json"
FRAMED_FILE = "trainset.json"


def import_vqa_rad(folder: Path) -> ImportedSet:
    """Import VQA-RAD with three splits.

    - `test`: the official 451 questions (phrase_type begins with "test_").
    - `train`: the 1,797 others.
    - `train-3064`: those plus 1,267 "frame" questions, the split behind the published
      figures. Its frames restate test questions on the test images: a model trained on
      it is to be compared with published figures only. Left out where its file is absent.

    All test images occur in train: that is the data set's design.

    Raises:
        DataError: If a file or an image is missing, or a row is not as expected.
    """
    remarks: Counter[str] = Counter()
    official = read_rows(folder / OFFICIAL_FILE)
    is_test = [str(row.get("phrase_type", "")).startswith("test_") for row in official]
    splits = {
        "train": [row for row, test in zip(official, is_test, strict=True) if not test],
        "test": [row for row, test in zip(official, is_test, strict=True) if test],
    }
    if (folder / FRAMED_FILE).exists():
        splits["train-3064"] = read_rows(folder / FRAMED_FILE)
    return ImportedSet(
        name="vqa-rad",
        licence="CC0 1.0",
        source="Lau et al. 2018, https://osf.io/89kps",
        splits={
            split: [_sample(row, folder, split, remarks) for row in rows]
            for split, rows in splits.items()
        },
        remarks=remarks,
    )


def _sample(row: dict[str, Any], folder: Path, split: str, remarks: Counter[str]) -> Sample:
    where = f"VQA-RAD {split}, question {row.get('qid')!r}"
    image_name = text_of(row, "image_name", where=where, remarks=remarks)
    image = folder / "images" / image_name
    return replace(
        sample_of(row, image, where=where, split=split, remarks=remarks),
        group=image_name,
        body_part=row.get("image_organ"),
        question_type=row.get("question_type"),
    )
