"""The data sets that can be imported, by exact name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tinymed.data import llava_med_chat, pathvqa, slake, vqa_rad
from tinymed.data.hugging_face import COLUMNS, import_hugging_face
from tinymed.data.imported import ImportedSet, with_unique_ids
from tinymed.data.llava_json import import_llava_json
from tinymed.data.own_lines import import_own_lines
from tinymed.data.publishers import HubFiles, OsfFiles, Publisher, WebFile
from tinymed.data.request import ImportRequest
from tinymed.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set, or a shape that a person's own questions may have."""

    name: str
    importer: Callable[[ImportRequest], ImportedSet]
    needs: str
    """What its folder must hold, in words."""
    licence: str = "your own"
    source: str = "your own files"
    options: frozenset[str] = frozenset()
    """Which of a request's images, split and columns have a meaning here."""
    published: tuple[Publisher, ...] = ()
    """Where its files can be fetched; nowhere, for a person's own."""


# The addresses below could not be tried from where they were written, for want of internet.
# Revisions, sizes and hashes are those that public repositories noted when they had fetched the
# files; the WebFiles were compared with snapshots of their git repositories, SLAKE's hashes with
# notes of others (train.json's with one only). For PathVQA and for VQA-RAD's publication, size
# and hash are what the publisher's list says on the day.
SOURCES = {
    source.name: source
    for source in (
        Source(
            name="vqa-rad",
            importer=vqa_rad.import_vqa_rad,
            licence=vqa_rad.LICENCE,
            source=vqa_rad.SOURCE,
            needs=(
                "'VQA_RAD Dataset Public.json' and the images in 'images' or 'VQA_RAD Image "
                "Folder'; trainset.json too for the split train-3064; or the parquet files of "
                "flaviagiammarino/vqa-rad"
            ),
            published=(
                OsfFiles(
                    project="89kps",
                    patterns=("VQA_RAD Dataset Public.json", "VQA_RAD Image Folder"),
                ),
                # The 3,064-question split is no part of the authors' publication.
                WebFile(
                    path="trainset.json",
                    url="https://raw.githubusercontent.com/Awenbocc/med-vqa/"
                    "0cca6811e38cf54aff6a7cce3442296d07875e64/data/trainset.json",
                    num_bytes=679_238,
                    sha256="3b0567673ae224b6489ca1bc4ce05cda642223d5cf4f17db8fbf7010c872e00f",
                ),
            ),
        ),
        Source(
            name="slake",
            importer=slake.import_slake,
            licence=slake.LICENCE,
            source=slake.SOURCE,
            needs=(
                "train.json, validate.json or validation.json, test.json (any of them) and the "
                "images in 'imgs'"
            ),
            published=(
                HubFiles(
                    repository="BoKelvin/SLAKE",
                    revision="a9083ce6c34ac3ffb17671a605962924d8a8f9e9",
                    patterns=("train.json", "validation.json", "test.json", "imgs.zip"),
                    sha256={
                        "train.json": "7a9fb81f9d7bb145c3d7e9bc8d3b9016"
                        "ba18b6539ea5031a53bae8fd3cd991c3",
                        "validation.json": "32b016440b0c3be11056a78a18eeab46"
                        "333268407fbb6e6b32f9f4c2debc50f6",
                        "test.json": "6be8f7b4c5a46cdbc713a5210a25b6ed"
                        "5aa1fd1574c83cefb4f998131f17c2c3",
                    },
                ),
            ),
        ),
        Source(
            name="pathvqa",
            importer=pathvqa.import_pathvqa,
            licence=pathvqa.LICENCE,
            source=pathvqa.SOURCE,
            needs=(
                "the parquet files of flaviagiammarino/path-vqa, or train*.json, val*.json, "
                "test*.json (lists of image, question, answer) and the images in 'images'"
            ),
            published=(
                HubFiles(
                    repository="flaviagiammarino/path-vqa",
                    revision="1685832883334b5bb5beaf4e4b333fdeecaa4ad9",
                    patterns=(
                        "data/train-*.parquet",
                        "data/validation-*.parquet",
                        "data/test-*.parquet",
                    ),
                ),
            ),
        ),
        Source(
            name="llava-med-chat",
            importer=llava_med_chat.import_llava_med_chat,
            licence=llava_med_chat.LICENCE,
            source=llava_med_chat.SOURCE,
            needs=f"{llava_med_chat.FILE}; the figures, as far as there are any, in 'images'",
            options=frozenset({"images"}),
            published=(
                # The tag v1.0.0 is older than the file, and main holds a pointer to it only.
                # The figures: the one public collection that was found
                # (LiangXin1001/LLaVA_Med_qa50_images) holds 19 empty and 2 damaged files of 50.
                WebFile(
                    path=llava_med_chat.FILE,
                    url="https://raw.githubusercontent.com/microsoft/LLaVA-Med/"
                    "821e1c7e34a458ef492b63da26e6863b55e05abf/data/eval/"
                    "llava_med_eval_qa50_qa.jsonl",
                    num_bytes=262_328,
                    sha256="48c6b680a962dbf8caf63e3ded2bef7770dccf9c2602f32e5f05f4b907266f25",
                ),
            ),
        ),
        Source(
            name="jsonl",
            importer=import_own_lines,
            needs=(
                "one .jsonl file, or a folder of them: a line a question with question, "
                "reference, and where known id, answer_type, image, group"
            ),
            options=frozenset({"images", "split"}),
        ),
        Source(
            name="llava-json",
            importer=import_llava_json,
            needs="one .json file, or a folder of them: lists of id, image, conversations",
            options=frozenset({"images", "split"}),
        ),
        Source(
            name="hf",
            importer=import_hugging_face,
            needs="what datasets.save_to_disk writes, or parquet files with question and answer",
            options=frozenset({"images", "split", "columns"}),
        ),
    )
}


def find_source(name: str) -> Source:
    """Look a data set up by its exact name.

    Raises:
        ConfigError: If it is not in the table.
    """
    if name not in SOURCES:
        raise ConfigError(f"No data set '{name}'. Known: {', '.join(SOURCES)}.")
    return SOURCES[name]


def import_set(name: str, request: ImportRequest) -> ImportedSet:
    """Import a data set; ids are unique in each of its splits.

    Raises:
        ConfigError: If the name is not in the table, or an option has no meaning for it.
        DataError: If the files are not as expected.
    """
    source = find_source(name)
    _refuse_what_has_no_effect(source, request)
    imported = source.importer(request)
    for split in imported.splits:
        if not split or {"/", "\\"} & set(split):
            raise DataError(f"'{split}' cannot be a split's name, because a file is named so.")
    return replace(
        imported,
        splits={
            split: with_unique_ids(samples, imported.remarks)
            for split, samples in imported.splits.items()
        },
    )


def _refuse_what_has_no_effect(source: Source, request: ImportRequest) -> None:
    given = {"images": request.images, "split": request.split, "columns": request.columns}
    flags = {"images": "--images", "split": "--split", "columns": "--column"}
    for option, value in given.items():
        if value and option not in source.options:
            raise ConfigError(f"{flags[option]} has no meaning for '{source.name}': leave it out.")
    for name in request.columns:
        if name not in COLUMNS:
            raise ConfigError(f"--column knows no '{name}'. Known: {', '.join(COLUMNS)}.")
    if request.images is not None and not request.images.is_dir():
        raise DataError(f"No folder '{request.images}' with images.")
    if not request.path.exists():
        raise DataError(f"No file or folder '{request.path}'.")
