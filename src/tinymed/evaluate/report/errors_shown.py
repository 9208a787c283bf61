"""The wrong answers a reader should look at first: those the model was surest of."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from tinymed.errors import ImageError
from tinymed.evaluate.metrics.honest import open_recall
from tinymed.evaluate.metrics.table import accuracy
from tinymed.evaluate.pairing import Pair, pair
from tinymed.evaluate.report.figures import percent
from tinymed.images.intake import read_image
from tinymed.pages.document import WrongAnswer, WrongAnswers
from tinymed.records import Prediction, Sample

MAX_SHOWN = 24
MAX_OF_ONE_IMAGE = 2
THUMBNAIL_PX = 280
"""Longest side: twice what the page shows, for screens with fine dots."""
MAX_THUMBNAIL_BYTES = 20_000
_QUALITIES = (75, 60, 45, 30)


def wrong_answers(
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    *,
    blank: Sequence[Prediction] = (),
    with_images: bool = True,
) -> WrongAnswers:
    """The wrong answers of highest confidence, at most 24, at most two about one image.

    Wrong is what the metric `accuracy` counts as wrong, unparsed answers among it. Where no
    answer has a confidence, the order is that of the samples.

    Args:
        samples: The questions.
        predictions: The model's answer to each.
        blank: Its answers about a black image, where it was asked.
        with_images: Whether each gets its image, made small.

    Raises:
        DataError: If predictions and samples do not match one to one.
    """
    wrong = [one for one in pair(samples, predictions) if not accuracy(one)]
    wrong.sort(key=lambda one: -(one.prediction.confidence or 0.0))
    of_black = {prediction.id: prediction.text for prediction in blank}
    return WrongAnswers(
        answers=tuple(
            _wrong_answer(one, of_black, with_images=with_images) for one in _few_an_image(wrong)
        )
    )


def _few_an_image(wrong: Iterable[Pair]) -> list[Pair]:
    kept: list[Pair] = []
    times: Counter[Path] = Counter()
    for one in wrong:
        image = one.sample.image
        if image is not None and times[image] == MAX_OF_ONE_IMAGE:
            continue
        if image is not None:
            times[image] += 1
        kept.append(one)
        if len(kept) == MAX_SHOWN:
            break
    return kept


def _wrong_answer(one: Pair, of_black: Mapping[str, str], *, with_images: bool) -> WrongAnswer:
    sample, prediction = one.sample, one.prediction
    image, note = thumbnail(sample.image) if with_images else ("", "Image left out on request.")
    confidence = prediction.confidence
    return WrongAnswer(
        id=sample.id,
        question=sample.question,
        reference=sample.reference,
        answer=prediction.text,
        confidence="" if confidence is None else f"{percent(confidence)} %",
        shared=_shared(sample, prediction),
        blank_answer=of_black.get(sample.id),
        image=image,
        image_note=note,
    )


def _shared(sample: Sample, prediction: Prediction) -> str:
    """How much of the reference an open answer holds, so that a near miss is seen as one."""
    held = open_recall(prediction.text, sample.reference)
    if sample.answer_type == "closed" or not held:
        return ""
    return f"holds {100 * held:.0f} % of the reference's words"


def thumbnail(path: Path | None) -> tuple[str, str]:
    """A small JPEG of an image file as a data URI, or "" and why there is none.

    Returns:
        The data URI and the reason; one of them is empty. No reason names a folder, because
        a report goes further than the machine it was made on.
    """
    if path is None:
        return "", "This question has no image."
    if not path.is_file():
        return "", f"The image file {path.name} is missing."
    try:
        picture = Image.fromarray(read_image(path).pixels)
    except ImageError:
        return "", f"The image file {path.name} cannot be read."
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    if _is_grey(picture):
        picture = picture.convert("L")
    return f"data:image/jpeg;base64,{base64.b64encode(_jpeg(picture)).decode()}", ""


def _is_grey(picture: Image.Image) -> bool:
    red, green, blue = picture.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _jpeg(picture: Image.Image) -> bytes:
    """As good as MAX_THUMBNAIL_BYTES allow."""
    content = b""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        content = buffer.getvalue()
        if len(content) <= MAX_THUMBNAIL_BYTES:
            break
    return content
