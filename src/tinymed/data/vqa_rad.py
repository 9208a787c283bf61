"""VQA-RAD: radiology questions by clinicians, with the splits in use."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.data.hugging_face import import_tables, parquet_splits
from tinymed.data.imported import ImportedSet
from tinymed.data.request import ImportRequest
from tinymed.data.rows import find_image, read_rows, sample_of, text_of
from tinymed.records import Sample

LICENCE = "CC0 1.0"
SOURCE = "Lau et al. 2018, https://osf.io/89kps"

OFFICIAL_FILE = "VQA_RAD Dataset Public.json"
FRAMED_FILE = "trainset.json"
IMAGE_FOLDERS = ("images", "VQA_RAD Image Folder")
"""As repositories name it, and as the authors' download does."""

HUB_COPY_DIFFERS = (
    "copy of the hub: leaves out 4 repeated questions of the official 1,797 for training",
    "copy of the hub: has no answer types; 251 of 451 for testing are yes or no, 272 closed",
    "copy of the hub: has no question ids, organs and question types",
)


def import_vqa_rad(request: ImportRequest) -> ImportedSet:
    """Import VQA-RAD with three splits.

    - `test`: the official 451 questions (phrase_type begins with "test_").
    - `train`: the 1,797 others.
    - `train-3064`: those plus 1,267 "frame" questions, the split behind the published
      figures. Its frames restate test questions on the test images: a model trained on
      it is to be compared with published figures only. Left out where its file is absent.

    All test images occur in train: that is the data set's design.

    A folder without the official file but with parquet files is taken for the copy on the
    Hugging Face hub (flaviagiammarino/vqa-rad), which is another data set in three respects
    that the remarks name.

    Raises:
        DataError: If a file or an image is missing, or a row is not as expected.
    """
    folder = request.path
    if not (folder / OFFICIAL_FILE).exists() and parquet_splits(folder):
        return _import_hub_copy(request)
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
        licence=LICENCE,
        source=SOURCE,
        splits={
            split: [_sample(row, folder, split, remarks) for row in rows]
            for split, rows in splits.items()
        },
        remarks=remarks,
    )


def _sample(row: dict[str, Any], folder: Path, split: str, remarks: Counter[str]) -> Sample:
    where = f"VQA-RAD {split}, question {row.get('qid')!r}"
    image_name = text_of(row, "image_name", where=where, remarks=remarks)
    image = find_image(image_name, tuple(folder / name for name in IMAGE_FOLDERS), where=where)
    if isinstance(row.get("qid"), str):
        remarks["qid given as text, not as a number"] += 1
    return replace(
        sample_of(row, image, where=where, split=split, remarks=remarks),
        group=image_name,
        body_part=row.get("image_organ"),
        question_type=row.get("question_type"),
    )


def _import_hub_copy(request: ImportRequest) -> ImportedSet:
    imported = import_tables(
        request,
        parquet_splits(request.path),
        name="vqa-rad-hub-copy",
        licence=LICENCE,
        source=f"{SOURCE}, copied to https://huggingface.co/datasets/flaviagiammarino/vqa-rad",
    )
    for difference in HUB_COPY_DIFFERS:
        imported.remarks[difference] += 1
    return imported
