"""Whether the answers depend on the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinymed.evaluate.audit.figures import Figure, Resamples
from tinymed.evaluate.audit.subsets import by_subset
from tinymed.evaluate.metrics.table import accuracy
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.evaluate.pairing import Pair
from tinymed.evaluate.score import cluster
from tinymed.images.medical_image import MedicalImage

INSTEAD = {
    "blank": "when the image is black",
    "noise": "when the image is noise",
    "shuffled": "when the image is another patient's",
}
"""Each condition in words, in the order in which they are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """What changed under one condition, over one subset."""

    condition: str
    subset: str
    unchanged: Figure
    """Share of answers with the same normalized words as with the own image. Two answers
    of yes or no agree by chance too, so even a model that looks stays well above 0."""
    accuracy: Figure
    own_accuracy: Figure
    accuracy_lost: Figure
    """Accuracy with the own image less accuracy here; the interval is of the paired
    difference."""
    verdict: str
    """The same in a plain sentence."""


def noise_image(*, size_px: int, seed: int) -> MedicalImage:
    """Uniform noise, from 0 to 255, independent in every pixel and channel.

    One image for all questions, drawn by NumPy's default generator from the seed, as large
    as what the vision encoder reads, so that nothing smooths it.
    """
    pixels = np.random.default_rng(seed).integers(0, 256, size=(size_px, size_px, 3))
    return MedicalImage(
        pixels=pixels.astype(np.uint8), source="png", notes=("uniform noise: control",)
    )


def image_use(
    own: Sequence[Pair], other: Sequence[Pair], *, condition: str, seed: int = 0
) -> list[ImageUse]:
    """Compare answers to the same samples, in the same order, with the own image and another."""
    answered = {one.sample.id: one for one in other}
    whole = [cluster(one.sample) for one in own]
    return [
        _image_use(
            pairs,
            [answered[one.sample.id] for one in pairs],
            condition,
            subset,
            Resamples([cluster(one.sample) for one in pairs], whole=whole, seed=seed),
        )
        for subset, pairs in by_subset(own).items()
    ]


def _image_use(
    own: Sequence[Pair],
    other: Sequence[Pair],
    condition: str,
    subset: str,
    resamples: Resamples,
) -> ImageUse:
    unchanged = np.array(
        [
            float(normalized_words(one.prediction.text) == normalized_words(two.prediction.text))
            for one, two in zip(own, other, strict=True)
        ]
    )
    right_own = np.array([accuracy(one) or 0.0 for one in own])
    right_other = np.array([accuracy(one) or 0.0 for one in other])
    share = resamples.share(unchanged)
    lost = resamples.mean(right_own - right_other)
    return ImageUse(
        condition=condition,
        subset=subset,
        unchanged=share,
        accuracy=resamples.share(right_other),
        own_accuracy=resamples.share(right_own),
        accuracy_lost=lost,
        verdict=_verdict(share, lost, condition=condition, subset=subset),
    )


def _verdict(share: Figure, lost: Figure, *, condition: str, subset: str) -> str:
    assert share.value is not None
    assert lost.value is not None
    questions = "all questions" if subset == "all" else f"{subset} questions"
    says = f"The answer stays the same in {share.value:.0%} of {questions} {INSTEAD[condition]}"
    if lost.interval is None:
        return f"{says}; with a single group of images nothing can be said of others."
    low, high = (100 * bound for bound in lost.interval)
    cost = f"{100 * lost.value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"
    if low > 0:
        return f"{says}: the own image is worth accuracy ({cost})."
    if high < 0:
        return f"{says}: accuracy is better without the own image ({cost})."
    return f"{says}: no accuracy is measurably lost ({cost}); the image may add nothing."
