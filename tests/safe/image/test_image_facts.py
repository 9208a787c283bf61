"""What the file says of its picture, and all that is said of an image together."""

from __future__ import annotations

import numpy as np
import pytest
from made_frames import frame_of, radiograph

from tinymed.images.received import ImageFacts
from tinymed.safe.gate import Gates
from tinymed.safe.image.facts import asks_for_size, modality_alert, spacing_alert
from tinymed.safe.image.look import look_at, not_looked


@pytest.mark.parametrize("code", ["CT", "MR", "CR", "DX", "RG", "OT", None])
def test_modalities_of_the_training_sets_raise_nothing(code: str | None) -> None:
    assert modality_alert(ImageFacts(modality=code), Gates()) is None


@pytest.mark.parametrize(
    ("code", "name"), [("US", "ultrasound"), ("MG", "mammography"), ("KO", "the modality KO")]
)
def test_other_modalities_are_out_of_scope_in_words(code: str, name: str) -> None:
    alert = modality_alert(ImageFacts(modality=code), Gates())
    assert alert is not None
    assert (alert.code, alert.gate, alert.withholds) == ("image-out-of-scope", "scope", True)
    assert name in alert.detail


def test_the_modality_is_not_looked_at_where_the_gate_is_off() -> None:
    assert modality_alert(ImageFacts(modality="US"), Gates(scope="off")) is None


@pytest.mark.parametrize(
    ("modality", "num_frames", "codes"),
    [
        ("CT", 1, ["single-slice"]),
        ("MR", 1, ["single-slice"]),
        ("CR", 1, []),
        (None, 1, []),
        ("DX", 12, ["single-slice"]),
        (None, 3, ["single-slice"]),
    ],
)
def test_one_of_many_slices_is_noted(
    modality: str | None, num_frames: int, codes: list[str]
) -> None:
    frame = frame_of(radiograph(), facts=ImageFacts(modality=modality), num_frames=num_frames)
    assert [alert.code for alert in look_at(frame, Gates())] == codes


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("How big is the mass?", True),
        ("What is the size of the lesion in mm?", True),
        ("Is the nodule larger than 3 cm?", True),
        ("What is the diameter?", True),
        ("Is the heart enlarged?", False),
        ("How long does a CT scan take?", False),
        ("Which is bigger, liver or spleen?", False),
    ],
)
def test_questions_of_size_are_told_from_others(question: str, asks: bool) -> None:  # noqa: FBT001
    assert asks_for_size(question) is asks


def test_a_size_without_spacing_is_noted() -> None:
    alert = spacing_alert("How big is the mass?", has_spacing=False)
    assert alert is not None
    assert (alert.code, alert.gate, alert.withholds) == ("spacing-missing", None, False)
    assert spacing_alert("How big is the mass?", has_spacing=True) is None
    assert spacing_alert("Is there a mass?", has_spacing=False) is None


def test_gates_that_are_off_do_not_look() -> None:
    frame = frame_of(np.zeros((64, 64, 3), np.uint8), facts=ImageFacts(is_from_camera=True))
    found = {alert.gate for alert in look_at(frame, Gates())}
    assert found == {"quality", "film-photo"}
    assert look_at(frame, Gates(quality="off", film_photo="off")) == ()


def test_a_gate_that_cannot_look_is_named_with_what_to_do() -> None:
    assert "models pull" in not_looked(None)["text"]


def test_without_a_scope_the_gate_says_what_it_did_not_look_at() -> None:
    assert "was not measured" in not_looked(None, knows_scope=False)["scope"]
    assert "scope" not in not_looked(None, knows_scope=True)
