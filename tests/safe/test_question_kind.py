"""What kind of answer a question asks for, by its words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tinymed.safe.question_kind import read_question

DATA = Path(os.environ.get("TINYMED_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs the public data sets in the folder TINYMED_DATA"
)


@pytest.mark.parametrize(
    ("question", "choices"),
    [
        ("CT or MRI?", ("CT", "MRI")),
        ("MRI, CT, or X-ray?", ("MRI", "CT", "X-ray")),
        ("Is it in the left or right lung?", ("left", "right")),
        ("Is it on the left or the right side?", ("left", "right")),
        ("Which lobe is abnormal,left or right?", ("left", "right")),
        ("Where is it in this image, right or lower right?", ("right", "lower right")),
        ("What is this: cyst, tumor or abscess?", ("cyst", "tumor", "abscess")),
        ("Is this a T1 weighted or T2 weighted MRI image?", ("T1", "T2")),
        ("Is this an MRI or a CT scan?", ("MRI", "CT")),
        ("Is it benign vs. malignant?", ("benign", "malignant")),
        ("Was it taken with or without contrast?", ("with contrast", "without contrast")),
        ("Is this a contrast or non contrast CT?", ("contrast", "non contrast")),
        ("Does the appendix appear normal or abnormal?", ("normal", "abnormal")),
        ("Is the effusion present or absent?", ("present", "absent")),
        ("Effusion present or absent?", ("present", "absent")),
        ("Mass: left or right?", ("left", "right")),
        ("Modality: CT or MRI?", ("CT", "MRI")),
        ("Which is more likely? Cancer or hemorrhage?", ("Cancer", "hemorrhage")),
        ("normal, benign or malignant?", ("normal", "benign", "malignant")),
    ],
)
def test_a_choice_offers_its_choices_as_the_question_writes_them(
    question: str, choices: tuple[str, ...]
) -> None:
    read = read_question(question)
    assert (read.kind, read.choices) == ("choice", choices)


@pytest.mark.parametrize(
    "question",
    [
        "Is there a pleural effusion?",
        "Is there a mass or an effusion?",
        "Are there infarcts, yes or no?",
        "Is the heart enlarged or not?",
        "Do you see a nodule or a mass?",
        "Is there a mass in the left or right lung?",
        "In this image, is there a mass?",
        "Any evidence of epidural or subdural hematoma?",
        "Does the picture contain liver?",
        "Is/Are there air-fluid levels?",
        "IS THERE A FRACTURE",
        "  is there a fracture ?? ",
        "Hello doctor, is there a fracture?",
        "\ufeffI\u200bs there a fracture\uff1f",
        "Yes or no: is there a fracture?",
        "Is there a fracture (yes/no)?",
        "Fracture y/n?",
        "Normal or not?",
        "Can you tell me if there is a fracture?",
        "Is there a mass? If so, where?",
    ],
)
def test_a_question_for_yes_or_no(question: str) -> None:
    read = read_question(question)
    assert (read.kind, read.choices) == ("yes-no", ("yes", "no"))


@pytest.mark.parametrize(
    "question",
    [
        "What is abnormal?",
        "In which lobe is it?",
        "Which or what?",
        "Is this a T1 weighted, T2 weighted, or FLAIR image?",
        "Are the nodules diffuse in the chest or lateralized to one side?",
        "Is this a pneumonia or pleural effusion?",
        "Describe the image.",
        "or",
        "left or left?",
        "",
        "Y a-t-il un épanchement pleural ?",
        "图中有肝脏吗？",
        "Was ist zu sehen?",
        "Is there a mass? Is there an effusion?",
        "Is there a mass\nis there an effusion",
        "1. Is there a mass? 2. Where is it?",
        "CT or MRI? Left or right?",
        "Can you describe the image?",
        "Do you know what this is?",
    ],
)
def test_what_cannot_be_told_apart_surely_is_open(question: str) -> None:
    read = read_question(question)
    assert (read.kind, read.choices, read.opposite) == ("open", (), None)


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("Is there a pleural effusion?", True),
        ("Is cardiomegaly present?", True),
        ("Is the heart enlarged?", True),
        ("Is the liver abnormal?", True),
        ("Does the picture contain liver?", True),
        ("Is the lung normal?", False),
        ("Is the diaphragm intact?", False),
        ("Is there normal lung tissue?", False),
        ("Is there no effusion?", False),
        ("Is the trachea midline?", False),
        ("Is this a CT?", False),
        ("Was the image taken from the front?", False),
        ("CT or MRI?", False),
        ("Are nodules present in both lungs?", False),
        ("Is the midline shifted?", True),
        ("Is the lesion ring enhancing?", True),
        ("Is the heart clearly enlarged?", True),
        ("Is this an abnormal image?", True),
        ("Is the dilated bowel normal?", False),
        ("Does the enlarged heart look normal?", False),
        ("Is this a normal enlarged heart?", False),
        ("Is the abnormal area well circumscribed?", False),
        ("Is there nothing wrong?", False),
        ("Does the image show nothing abnormal?", False),
        ("Does the image fail to show a fracture?", False),
        ("Does this image show that the effusion has resolved?", False),
        ("Is there hardly any effusion?", False),
        ("Is an effusion barely visible?", False),
        ("Is there evidence against pneumonia?", False),
        ("Is there resolution of the effusion?", False),
        ("Is there a low probability of pneumonia?", False),
        ("Is there doubt about a fracture?", False),
        ("Is there n\u200bo effusion?", False),
        ("Isn't there a fracture?", False),
        ("Is there not a fracture?", False),
        ("Is there an effusion - answer yes", False),
    ],
)
def test_only_a_clear_question_for_something_asks_for_a_finding(
    question: str, *, asks: bool
) -> None:
    assert read_question(question).asks_for_finding is asks


def test_the_opposite_is_the_one_that_audits_ask() -> None:
    assert read_question("Is there a mass?").opposite == "Is there no mass?"
    assert read_question("Are there more than two masses?").opposite is None
    assert read_question("Yes or no: is there a mass!").opposite == "is there no mass?"


def kinds(rows: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """How many questions are read as their data set labels them, and how many there are."""
    agreed = number = 0
    for row in rows:
        answer = str(row["answer"]).strip().lower().rstrip(".")
        label = "open"
        if row["answer_type"].strip() == "CLOSED":
            label = "yes-no" if answer.split()[:1] in (["yes"], ["no"]) else "choice"
        agreed += read_question(row["question"]).kind == label
        number += 1
    return agreed, number


@needs_data
@pytest.mark.parametrize("split", ["train", "validate"])
def test_slake_agrees_in_all_but_a_few(split: str) -> None:
    rows = json.loads((DATA / "slake" / f"{split}.json").read_text(encoding="utf-8"))
    agreed, number = kinds(row for row in rows if row["q_lang"] == "en")
    assert number > 1000
    assert agreed / number > 0.999


@needs_data
def test_vqa_rad_agrees_in_all_but_a_few() -> None:
    rows = json.loads((DATA / "vqa-rad" / "trainset.json").read_text(encoding="utf-8"))
    agreed, number = kinds(rows)
    assert number > 1000
    assert agreed / number > 0.975
