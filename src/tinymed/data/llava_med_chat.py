"""LLaVA-Med's chat questions: 193 about 50 figures, for a judge."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tinymed.data.imported import ImportedSet
from tinymed.data.request import ImportRequest
from tinymed.data.rows import text_of
from tinymed.errors import DataError
from tinymed.jsonl import read_lines
from tinymed.records import Sample

LICENCE = (
    "CC BY-NC 4.0 (questions, GPT-4 answers); each figure and caption: as its PubMed Central "
    "article says"
)
SOURCE = "Li et al. 2023, https://github.com/microsoft/LLaVA-Med"

FILE = "llava_med_eval_qa50_qa.jsonl"
IMAGE_FOLDERS = ("images", "qa50_images", ".")
DOMAINS = ("chest_xray", "mri", "histology", "gross", "ct_scan")
"""In the order in which the authors' summary takes the first that is true."""
IMAGE_MARK = "\n<image>"


def import_llava_med_chat(request: ImportRequest) -> ImportedSet:
    """Import the chat questions as one split, `test`, with GPT-4's answers as references.

    The reference answers were written by a text-only GPT-4 that saw the caption and the
    sentences that cite the figure, never the figure; those stand in `context`, for a judge.
    The figures come in no package: a question whose figure is not in the folder is kept
    without one, and counted.

    Raises:
        DataError: If the file is missing or a row is not as expected.
    """
    file = request.path / FILE
    if not file.is_file():
        raise DataError(f"No file '{file}'. Name the folder that holds it.")
    folders = (
        (request.images,) if request.images else tuple(map(request.path.joinpath, IMAGE_FOLDERS))
    )
    remarks: Counter[str] = Counter()
    return ImportedSet(
        name="llava-med-chat",
        licence=LICENCE,
        source=SOURCE,
        splits={
            "test": [
                _sample(row, folders, where=f"{FILE} line {number}", remarks=remarks)
                for number, row in read_lines(file)
            ]
        },
        remarks=remarks,
    )


def _sample(
    row: dict[str, Any], folders: tuple[Path, ...], *, where: str, remarks: Counter[str]
) -> Sample:
    if not isinstance(row.get("question_id"), str | int):
        raise DataError(f"{where} has no 'question_id'.")
    question = text_of(row, "text", where=where, remarks=remarks)
    if question.endswith(IMAGE_MARK):
        question = question.removesuffix(IMAGE_MARK)
        remarks["question ends in a line '<image>' (taken off)"] += 1
    image_name = text_of(row, "image", where=where, remarks=remarks)
    image = _image(image_name, folders, remarks)
    return Sample(
        id=str(row["question_id"]),
        question=question,
        reference=text_of(row, "gpt4_answer", where=where, remarks=remarks),
        answer_type="open",
        image=image,
        group=image_name,
        modality=_domain(row, remarks),
        question_type=text_of(row, "type", where=where, remarks=remarks),
        context=_context(row, where=where, remarks=remarks),
    )


def _image(name: str, folders: tuple[Path, ...], remarks: Counter[str]) -> Path | None:
    there = [folder / name for folder in folders if (folder / name).is_file()]
    whole = [file.resolve() for file in there if file.stat().st_size > 0]
    if there and not whole:
        remarks["image file is empty (question kept without)"] += 1
    elif not there:
        remarks["image not found (question kept without)"] += 1
    return whole[0] if whole else None


def _domain(row: dict[str, Any], remarks: Counter[str]) -> str | None:
    flags = row.get("domain") or {}
    true = [name for name in DOMAINS if flags.get(name)]
    if len(true) > 1:
        remarks["several domains (the first of the authors' order is taken)"] += 1
    if not true:
        remarks["no domain"] += 1
        return None
    return true[0]


def _context(row: dict[str, Any], *, where: str, remarks: Counter[str]) -> str:
    """Caption and citing sentences as text, where the authors pasted a Python list."""
    label = text_of(row, "fig_label", where=where, remarks=remarks)
    caption = text_of(row, "fig_caption", where=where, remarks=remarks)
    context = f"Figure Caption:\n{label}: {caption}"
    mentions = row.get("in_text_mention")
    if not mentions:
        remarks["no sentence that cites the figure"] += 1
        return context
    try:
        lines = [f"- {mention['tokens']}" for mention in mentions]
    except (KeyError, TypeError) as error:
        raise DataError(f"{where}: 'in_text_mention' is no list of sentences.") from error
    return "\n".join([context, "", "Figure Context:", *lines])
