"""The leakage report: what a model may know by heart of what it is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.evaluate.leakage.fingerprint import Fingerprint, fingerprint
from tinymed.evaluate.leakage.matches import (
    MAX_DISTANCE_BITS,
    MIN_CORRELATION,
    Match,
    TrainImages,
)
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.progress import Progress
from tinymed.records import Sample

NUM_EXAMPLES = 5
"""Of each kind; each about another image and question."""

KINDS = (
    "same_file",
    "near_image",
    "same_question",
    "same_image_and_question",
    "same_image_question_and_answer",
)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A sample and a train sample that it shares something with."""

    sample: str
    """Id of the evaluated sample."""
    train: str
    """Id of the train sample; ids of two files may be equal by chance."""
    distance_bits: int | None = None
    """Between the hashes of their images, of 256; None where images were not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """How many samples share what with train; every count is one of samples.

    "Same" words are `normalized_words`, so case, marks and articles do not matter.
    """

    num_samples: int
    num_train: int
    same_file: int
    """The image file is, byte for byte, the file of a train sample."""
    near_image: int
    """Not so, but the image looks the same as a train image: saved, scaled, brightened or
    slightly cropped again, or a neighbouring slice of the same scan."""
    same_question: int
    """A train sample asks the same words, about whatever image."""
    same_image_and_question: int
    """A train sample asks the same words about the same file or a near image."""
    same_image_question_and_answer: int
    """And its reference answer has the same words too."""
    num_without_image: int
    """Samples without an image: compared by question alone."""
    num_unreadable: int
    """Samples whose image cannot be shown as a picture: compared by bytes at most."""
    num_unreadable_train: int
    """Train samples whose image cannot be shown as a picture: what is like it is not found."""
    examples: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    """Up to NUM_EXAMPLES of each of KINDS, in the order of the samples."""
    image_in_train: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """For the id of each sample with an image: "same file", "near" or "no". Not kept in JSON."""


def find_leakage(
    train: Sequence[Sample], samples: Sequence[Sample], *, label: str = "Leakage"
) -> Leakage:
    """Compare every sample with every train sample, by image and by question.

    Every image file is read once, and that is where the time goes: 4 ms for a picture of half a
    million pixels, so 7 minutes for 100,000. A mirrored, turned or strongly cropped copy is not
    recognised (figures: `MAX_DISTANCE_BITS`).

    Args:
        train: What the model was trained on.
        samples: What it is asked.
        label: Heads the line of progress.
    """
    images = _fingerprints([*train, *samples], label=label)
    known = _Train(train, images)
    found = _Findings()
    for sample in samples:
        _compare(sample, known, _image(sample, images), found)
    return Leakage(
        num_samples=len(samples),
        num_train=len(train),
        **{kind: found.counts[kind] for kind in KINDS},
        num_without_image=sum(sample.image is None for sample in samples),
        num_unreadable=_num_unreadable(samples, images),
        num_unreadable_train=_num_unreadable(train, images),
        examples={kind: tuple(found.examples[kind]) for kind in KINDS if found.examples[kind]},
        image_in_train=found.image_in_train,
    )


Images = Mapping[Path, Fingerprint | None]


def _fingerprints(samples: Iterable[Sample], *, label: str) -> Images:
    paths = list(dict.fromkeys(sample.image for sample in samples if sample.image is not None))
    images: dict[Path, Fingerprint | None] = {}
    with Progress(label, total=len(paths), unit="image") as progress:
        for path in paths:
            images[path] = fingerprint(path)
            progress.step()
    return images


def _num_unreadable(samples: Iterable[Sample], images: Images) -> int:
    found = [images[sample.image] for sample in samples if sample.image is not None]
    return sum(image is None or image.picture is None for image in found)


class _Train:
    """The train samples, by what is looked for."""

    def __init__(self, train: Sequence[Sample], images: Images) -> None:
        present = [image for sample in train if (image := _image(sample, images))]
        self._images = TrainImages(present)
        self._matches: dict[str, list[Match]] = {}
        self.by_image: dict[str, Sample] = {}
        self.by_question: dict[Words, Sample] = {}
        self.by_both: dict[tuple[str, Words], list[Sample]] = defaultdict(list)
        for sample in train:
            words = normalized_words(sample.question)
            self.by_question.setdefault(words, sample)
            if image := _image(sample, images):
                self.by_image.setdefault(image.digest, sample)
                self.by_both[image.digest, words].append(sample)

    def matches(self, image: Fingerprint) -> list[Match]:
        """As `TrainImages.matches`, once an image: many samples share one."""
        if image.digest not in self._matches:
            self._matches[image.digest] = self._images.matches(image)
        return self._matches[image.digest]


def _image(sample: Sample, images: Images) -> Fingerprint | None:
    return None if sample.image is None else images[sample.image]


class _Findings:
    """Counts of each kind, and the first examples."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.examples: dict[str, list[Example]] = {kind: [] for kind in KINDS}
        self.image_in_train: dict[str, str] = {}
        self._shown: set[tuple[str, Path | Words | None]] = set()

    def add(self, kind: str, sample: Sample, train: Sample, match: Match | None = None) -> None:
        self.counts[kind] += 1
        # Five questions about one image would be one example five times.
        about = (kind, sample.image if match else normalized_words(sample.question))
        if len(self.examples[kind]) < NUM_EXAMPLES and about not in self._shown:
            self._shown.add(about)
            distance_bits = match.distance_bits if match else None
            example = Example(sample=sample.id, train=train.id, distance_bits=distance_bits)
            self.examples[kind].append(example)


def _compare(sample: Sample, known: _Train, image: Fingerprint | None, found: _Findings) -> None:
    matches = known.matches(image) if image else []
    if image:
        found.image_in_train[sample.id] = "no"
    if image and matches:
        kind = "same_file" if matches[0].digest == image.digest else "near_image"
        found.image_in_train[sample.id] = {"same_file": "same file", "near_image": "near"}[kind]
        found.add(kind, sample, known.by_image[matches[0].digest], matches[0])
    words = normalized_words(sample.question)
    if not words or words not in known.by_question:
        return
    found.add("same_question", sample, known.by_question[words])
    twins = [
        (twin, match) for match in matches for twin in known.by_both.get((match.digest, words), [])
    ]
    if not twins:
        return
    found.add("same_image_and_question", sample, *twins[0])
    answer = normalized_words(sample.reference)
    alike = [one for one in twins if normalized_words(one[0].reference) == answer]
    if alike:
        found.add("same_image_question_and_answer", sample, *alike[0])


def leakage_json(leakage: Leakage) -> dict[str, Any]:
    """Turn a leakage report into JSON, with how near images were told."""
    method = {"max_distance_bits": MAX_DISTANCE_BITS, "min_correlation": MIN_CORRELATION}
    found = asdict(leakage)
    del found["image_in_train"]
    return {**found, "near_image_method": method}


def leakage_from_json(value: Mapping[str, Any]) -> Leakage:
    """Read back what `leakage_json` wrote.

    Raises:
        DataError: If a field is missing or of a wrong type.
    """
    try:
        counts: dict[str, Any] = {
            one.name: int(value[one.name])
            for one in fields(Leakage)
            if one.name not in ("examples", "image_in_train")
        }
        examples = {
            kind: tuple(Example(**example) for example in found)
            for kind, found in value["examples"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"This leakage report cannot be read ({type(error).__name__}: {error}): "
            "run the evaluation again."
        ) from error
    return Leakage(**counts, examples=examples)


_SENTENCES = {
    "same_file": (
        "are about an image whose very file is in train: "
        "the scores do not show how the model does on images it has never seen"
    ),
    "near_image": (
        "are about an image that looks the same as one in train (saved again, or a neighbouring "
        "slice of the same scan): the scores are likely higher than on new patients"
    ),
    "same_question": (
        "are asked in the same words in train: compare with the question-only control, which "
        "answers from the words alone"
    ),
    "same_image_and_question": (
        "are asked in the same words about the same image in train: "
        "a model can answer them from memory"
    ),
    "same_image_question_and_answer": (
        "stand in train with image, words and answer: right answers to them prove memory only"
    ),
}


def warnings_of(leakage: Leakage) -> tuple[str, ...]:
    """What a reader of the scores must know, one plain sentence each.

    Empty where nothing is shared and every image could be compared.

    >>> leakage = Leakage(num_samples=8, num_train=9, same_file=0, near_image=0, same_question=1,
    ...     same_image_and_question=0, same_image_question_and_answer=0, num_without_image=0,
    ...     num_unreadable=0, num_unreadable_train=0)
    >>> print(*warnings_of(leakage))
    Leakage: 1 of 8 questions (12.5 %) are asked in the same words in train: compare with the \
question-only control, which answers from the words alone.
    """
    total = leakage.num_samples
    warnings = [
        f"Leakage: {count} of {total} questions ({100 * count / total:.1f} %) {_SENTENCES[kind]}."
        for kind in KINDS
        if (count := getattr(leakage, kind))
    ]
    unread = leakage.num_unreadable, leakage.num_unreadable_train
    if any(unread):
        warnings.append(
            f"Leakage: the images of {unread[0]} questions and {unread[1]} train samples could "
            "not be read; there may be more leakage than was found."
        )
    return tuple(warnings)
