"""The opposite of a question, and the questions that have none."""

from __future__ import annotations

import json

import pytest

from tinymed.evaluate.audit.twins import absence_question, has_yes_or_no, twin_line, twins_of
from tinymed.records import Sample


@pytest.mark.parametrize(
    ("asked", "opposite"),
    [
        ("Is there a pleural effusion?", "Is there no pleural effusion?"),
        ("is there an  air-fluid level", "is there no air-fluid level?"),
        ("Are there any lesions in this image ?", "Are there no lesions in this image?"),
        ("Is there evidence of any fractures?", "Is there no evidence of any fractures?"),
        ("Is there a fracture of T12?", "Is there no fracture of T12?"),
        ("Was there contrast used?", "Was there no contrast used?"),
        ("Is cardiomegaly present?", "Is cardiomegaly absent?"),
        ("Are the kidneys present in this image?", "Are the kidneys absent in this image?"),
        ("Is a mass present in this xray?", "Is no mass present in this xray?"),
        ("Is any fracture seen?", "Is no fracture seen?"),
        ("Is pneumoperitoneum evident?", "Is no pneumoperitoneum evident?"),
        ("Does this image show a pneumothorax?", "Does this image show no pneumothorax?"),
        ("Does the picture contain liver?", "Does the picture contain no liver?"),
        ("Do you see any nodules?", "Do you see no nodules?"),
        (
            "Does the picture contain the organ that digests food?",
            "Does the picture lack the organ that digests food?",
        ),
        ("Does the colon appear in the image?", "Is the colon absent from the image?"),
        ("Do the lungs exist in this picture?", "Are the lungs absent from this picture?"),
        ("Does the pelvis appear in this CT?", "Is the pelvis absent from this CT?"),
        ("Can edema be observed in the picture?", "Is the picture free of edema?"),
        (
            "Can pneumonia be seen on the left lung in this picture?",
            "Is the left lung free of pneumonia in this picture?",
        ),
        ("Do any of the organs belong to it?", "Do none of the organs belong to it?"),
        ("Is the liver normal?", "Is the liver abnormal?"),
        ("Is this an abnormal image?", "Is this a normal image?"),
        ("Are these normal kidney findings?", "Are these abnormal kidney findings?"),
        ("Does this look like a healthy liver?", "Does this look like an unhealthy liver?"),
        ("Do the kidneys appear to be normal?", "Do the kidneys appear to be abnormal?"),
        ("Is the heart enlarged?", "Is the heart not enlarged?"),
        ("Is the heart abnormally large?", "Is the heart not abnormally large?"),
        ("Is the aorta within normal size limits?", "Is the aorta not within normal size limits?"),
        ("Is the diaphragm clearly visualized?", "Is the diaphragm not clearly visualized?"),
        ("Is the trachea midline?", "Is the trachea not midline?"),
        ("Was this image taken by x-ray?", "Was this image not taken by x-ray?"),
        ("Is this a CT?", "Is this something other than a CT?"),
        ("Is this the axial plane?", "Is this something other than the axial plane?"),
    ],
)
def test_the_opposite_asks_for_the_absence(asked: str, opposite: str) -> None:
    found = absence_question(asked)
    assert (found and found[0]) == opposite


@pytest.mark.parametrize(
    "asked",
    [
        "Are nodules present in both lungs?",
        "Is the mass round and well-defined?",
        "Is there a mass or a nodule?",
        "Is there more than one nodule?",
        "Are >12 ribs present?",
        "Are there 2 lesions?",
        "Is the left lung whiter than the right lung?",
        "Is anything abnormal in the image?",
        "Is there no mass?",
        "Is the appendix non-enlarged?",
        "Isn't the heart enlarged?",
        "Is the lung free of fluid present?",
        "Is there still a mass?",
        "Is there slight dilation?",
        "Is there nothing wrong?",
        "Is there hardly any effusion?",
        "Does the image fail to show a mass?",
        "Does this image show that the mass has gone?",
        "Is there a mass? Is there an effusion?",
        "Is there a mass. Is there an effusion?",
        "Is there abnormalities in the lung?",
        "Does the ears exist in this picture?",
        "Is/Are there abnormalities?",
        "Is the heart enlarged as seen here?",
        "Is the mass seen in the liver calcified?",
        "Is the enlarged heart calcified?",
        "Is the GI tract is highlighted by contrast?",
        "Is this sagittal plane?",
        "Is this a X-Ray?",
        "What is this?",
        "Which lung is abnormal?",
        "",
    ],
)
def test_a_question_whose_opposite_no_rule_is_sure_of_has_none(asked: str) -> None:
    assert absence_question(asked) is None


def closed(reference: str, question: str = "Is there a mass?") -> Sample:
    return Sample(id="1", question=question, reference=reference, answer_type="closed", group="g")


@pytest.mark.parametrize(("reference", "opposite"), [("Yes", "no"), ("no.", "yes")])
def test_the_reference_turns_with_the_question(reference: str, opposite: str) -> None:
    (twin,) = twins_of([closed(reference)])
    assert (twin.presence.reference, twin.absence.reference) == (reference, opposite)
    assert (twin.absence.id, twin.absence.group, twin.form) == ("1", "g", "existence")
    line = twin_line(twin)
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "id": "1",
        "form": "existence",
        "presence": "Is there a mass?",
        "presence_reference": reference,
        "absence": "Is there no mass?",
        "absence_reference": opposite,
    }


def test_only_closed_questions_of_yes_or_no_have_twins() -> None:
    others = [
        closed("yes, in the left lung"),
        closed("left"),
        Sample(id="2", question="Is there a mass?", reference="yes", answer_type="open"),
    ]
    assert not any(map(has_yes_or_no, others))
    assert twins_of(others) == []
