"""Which wrong answers are shown, and with what."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from made_up_run import made_up_samples
from PIL import Image

from tinymed.errors import DataError
from tinymed.evaluate.report.errors_shown import (
    MAX_THUMBNAIL_BYTES,
    THUMBNAIL_PX,
    thumbnail,
    wrong_answers,
)
from tinymed.pages.document import WrongAnswer
from tinymed.records import Prediction, Sample


def asked(number: int, *, image: Path | None = None, reference: str = "yes") -> Sample:
    return Sample(
        id=str(number),
        question="Is there a mass?",
        reference=reference,
        answer_type="closed" if reference in ("yes", "no") else "open",
        image=image,
    )


def answers(*texts: str, confidences: list[float | None]) -> list[Prediction]:
    return [
        Prediction(id=str(number), text=text, confidence=confidence)
        for number, (text, confidence) in enumerate(zip(texts, confidences, strict=True))
    ]


def shown(samples: list[Sample], predictions: list[Prediction]) -> list[WrongAnswer]:
    return list(wrong_answers(samples, predictions).answers)


def test_wrong_answers_stand_with_the_surest_first_and_right_ones_nowhere() -> None:
    samples = [asked(number) for number in range(4)]
    predictions = answers("No", "Yes", "No", "maybe", confidences=[0.5, 0.9, 0.8, None])
    assert [(one.id, one.confidence) for one in shown(samples, predictions)] == [
        ("2", "80.0 %"),
        ("0", "50.0 %"),
        ("3", ""),
    ]


def test_without_confidence_the_order_is_that_of_the_samples() -> None:
    samples = [asked(number) for number in (1, 0)]
    predictions = answers("No", "No", confidences=[None, None])
    assert [one.id for one in shown(samples, predictions)] == ["1", "0"]


def test_two_wrong_answers_about_one_image_are_enough(tmp_path: Path) -> None:
    gone, other = tmp_path / "gone.png", tmp_path / "other.png"
    samples = [asked(number, image=gone) for number in range(3)] + [asked(3, image=other)]
    predictions = answers(*["No"] * 4, confidences=[0.9, 0.8, 0.7, 0.1])
    assert [one.id for one in shown(samples, predictions)] == ["0", "1", "3"]


def test_twenty_four_are_enough() -> None:
    samples = [asked(number) for number in range(30)]
    found = shown(samples, answers(*["No"] * 30, confidences=[0.5] * 30))
    assert [one.id for one in found] == [str(number) for number in range(24)]


def test_a_near_miss_of_an_open_question_is_seen_as_one() -> None:
    samples = [asked(number, reference="left lung") for number in range(2)]
    near, far = shown(samples, answers("right lung", "liver", confidences=[0.9, 0.8]))
    assert (near.shared, far.shared) == ("holds 50 % of the reference's words", "")


def test_the_answer_about_a_black_image_stands_beside() -> None:
    blank = [Prediction(id="0", text="No")]
    samples = [asked(0), asked(1)]
    predictions = answers("No", "No", confidences=[0.9, 0.8])
    found = wrong_answers(samples, predictions, blank=blank).answers
    assert [one.blank_answer for one in found] == ["No", None]


def test_answers_to_other_questions_are_refused() -> None:
    with pytest.raises(DataError, match="1 sample has no prediction"):
        wrong_answers([asked(0), asked(1)], answers("No", confidences=[0.5]))


def decoded(uri: str) -> tuple[bytes, Image.Image]:
    head, _, content = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    raw = base64.b64decode(content)
    return raw, Image.open(io.BytesIO(raw))


def test_images_are_made_small_and_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    samples = made_up_samples(tmp_path)
    found = wrong_answers(samples, answers(*["No"] * 5, confidences=[0.5] * 5)).answers
    _, grey = decoded(found[0].image)
    assert (grey.mode, grey.size) == ("L", (187, THUMBNAIL_PX))
    raw, noise = decoded(found[1].image)
    assert (noise.mode, noise.size) == ("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
    assert len(raw) <= MAX_THUMBNAIL_BYTES
    assert [(one.image, one.image_note) for one in found[2:]] == [
        ("", "The image file gone.png is missing."),
        ("", "The image file text.png cannot be read."),
        ("", "This question has no image."),
    ]


def test_images_are_left_out_on_request(tmp_path: Path) -> None:
    samples = made_up_samples(tmp_path)
    predictions = answers(*["No"] * 5, confidences=[0.5] * 5)
    found = wrong_answers(samples, predictions, with_images=False).answers
    assert {(one.image, one.image_note) for one in found} == {("", "Image left out on request.")}


def test_a_small_picture_keeps_its_size_and_a_thin_one_its_proportions(tmp_path: Path) -> None:
    for name, height, width in (("small.png", 30, 20), ("thin.png", 16, 1600)):
        Image.fromarray(np.zeros((height, width), np.uint8)).save(tmp_path / name)
    assert decoded(thumbnail(tmp_path / "small.png")[0])[1].size == (20, 30)
    assert decoded(thumbnail(tmp_path / "thin.png")[0])[1].size == (THUMBNAIL_PX, 3)


def test_a_dicom_file_is_shown_too() -> None:
    from pydicom.data import get_testdata_file

    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    uri, note = thumbnail(Path(path))
    assert note == ""
    assert decoded(uri)[1].size == (128, 128)
