"""What a model must beat to have looked at the image at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np

from tinymed.errors import DataError
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.images.medical_image import MedicalImage
from tinymed.records import Prediction, Sample


def constant(samples: Sequence[Sample], text: str) -> list[Prediction]:
    """Give every sample the same answer."""
    return [Prediction(id=sample.id, text=text) for sample in samples]


def question_only(train: Sequence[Sample], samples: Sequence[Sample]) -> list[Prediction]:
    """Answer from the question alone, with what train samples answer most often.

    The most common answer to the same wording (lower case aside); for a wording that train
    does not hold, the most common answer of the same answer type, or of all train samples.
    The first in the file wins a tie. Sees no reference of the samples it answers.

    Raises:
        DataError: If there are no train samples.

    Example:
        >>> def sample(id: str, question: str, reference: str) -> Sample:
        ...     return Sample(id=id, question=question, reference=reference, answer_type="open")
        >>> train = [sample("1", "Which organ?", "Lung"), sample("2", "Which organ?", "lung"),
        ...          sample("3", "Which organ?", "Liver"), sample("4", "Which plane?", "Axial")]
        >>> asked = [sample("a", "which organ?", ""), sample("b", "What colour?", "")]
        >>> [prediction.text for prediction in question_only(train, asked)]
        ['Lung', 'Lung']
    """
    if not train:
        raise DataError("The question-only control needs at least one train sample.")
    by_wording: dict[str, list[str]] = defaultdict(list)
    by_type: dict[str, list[str]] = defaultdict(list)
    for sample in train:
        by_wording[_wording(sample.question)].append(sample.reference)
        by_type[sample.answer_type].append(sample.reference)
    to_wording = {wording: _most_common(answers) for wording, answers in by_wording.items()}
    to_type = {answer_type: _most_common(answers) for answer_type, answers in by_type.items()}
    to_any = _most_common(sample.reference for sample in train)
    return [
        Prediction(
            id=sample.id,
            text=to_wording.get(_wording(sample.question), to_type.get(sample.answer_type, to_any)),
        )
        for sample in samples
    ]


def _wording(text: str) -> str:
    return text.lower().strip()


def nearest_question(train: Sequence[Sample], samples: Sequence[Sample]) -> list[Prediction]:
    """Copy the answer of the train question about the same image that shares most words.

    Nearest is the largest share of common words (Jaccard), the first in the file on a tie.
    An image is the same if its file or its group is. A sample whose image train does not
    hold gets no answer, which counts as wrong. What this gets right, a model can get right
    by remembering.

    Raises:
        DataError: If train holds none of the images.

    Example:
        >>> def sample(id: str, question: str, reference: str, group: str) -> Sample:
        ...     return Sample(id=id, question=question, reference=reference,
        ...                   answer_type="open", group=group)
        >>> train = [sample("1", "Which organ is shown?", "Lung", "image 1"),
        ...          sample("2", "Which plane is shown?", "Axial", "image 1")]
        >>> asked = [sample("a", "what plane is this", "", "image 1"), sample("b", "?", "", "2")]
        >>> [prediction.text for prediction in nearest_question(train, asked)]
        ['Axial', '']
    """
    by_image: dict[str | Path, list[tuple[set[str], str]]] = defaultdict(list)
    for sample in train:
        for image in _images(sample):
            by_image[image].append((_plain_words(sample.question), sample.reference))
    answers = [_nearest_answer(sample, by_image) for sample in samples]
    if all(answer is None for answer in answers):
        raise DataError("The nearest-question control needs images that the train samples hold.")
    return [
        Prediction(id=sample.id, text=answer or "")
        for sample, answer in zip(samples, answers, strict=True)
    ]


def _images(sample: Sample) -> set[str | Path]:
    return {image for image in (sample.image, sample.group) if image}


def _plain_words(text: str) -> set[str]:
    # In scripts written without spaces a sentence is no word.
    if not text.isascii():
        return set(normalized_words(text))
    return {word.strip("?.,") for word in text.lower().split()}


def _nearest_answer(
    sample: Sample, by_image: Mapping[str | Path, Sequence[tuple[set[str], str]]]
) -> str | None:
    words = _plain_words(sample.question)

    def shared(question: tuple[set[str], str]) -> float:
        return len(words & question[0]) / max(1, len(words | question[0]))

    for image in (sample.image, sample.group):
        if image and image in by_image:
            return max(by_image[image], key=shared)[1]
    return None


def _most_common(answers: Iterable[str]) -> str:
    """The first spelling of the answer that is most common, lower case aside."""
    counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    for answer in answers:
        wording = _wording(answer)
        counts[wording] += 1
        spelling.setdefault(wording, answer)
    return spelling[counts.most_common(1)[0][0]]


def black_image(*, size_px: int = 224) -> MedicalImage:
    """An image on which nothing can be seen."""
    return MedicalImage(
        pixels=np.zeros((size_px, size_px, 3), dtype=np.uint8),
        source="png",
        notes=("blanked: control",),
    )


def shuffled_images(images: Sequence[tuple[Path, str]], *, seed: int = 0) -> dict[Path, Path]:
    """Give every image the place of one from another group.

    A fixed-seed ring over the groups: each group gets the images of the next one. Where a
    group is one image, as usual, every image is used exactly once.

    Args:
        images: (image, group) pairs; repeats are ignored.
        seed: Same seed, same exchange.

    Raises:
        DataError: If all images are of one group: none can be exchanged.

    Example:
        >>> exchanged = shuffled_images([(Path("a"), "1"), (Path("b"), "2"), (Path("c"), "3")])
        >>> sorted(exchanged.values()) == sorted(exchanged)
        True
        >>> any(image == other for image, other in exchanged.items())
        False
    """
    by_group: dict[str, list[Path]] = defaultdict(list)
    for image, group in dict.fromkeys(images):
        by_group[group].append(image)
    if len(by_group) == 1:
        raise DataError("The shuffled-images control needs images of at least two groups.")
    ring = list(by_group)
    Random(seed).shuffle(ring)  # noqa: S311 - nothing is kept secret
    exchanged = {}
    for place, group in enumerate(ring):
        others = by_group[ring[(place + 1) % len(ring)]]
        for index, image in enumerate(by_group[group]):
            exchanged[image] = others[index % len(others)]
    return exchanged
