"""Which train images show the same as an evaluated image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymed.evaluate.leakage.fingerprint import Fingerprint, Picture

MAX_DISTANCE_BITS = 40
"""Two pictures whose hashes differ in more of their 256 bits are different pictures.

Measured together with MIN_CORRELATION on real images (VQA-RAD, ROCOv2, SLAKE, chest films and
DICOM files), each changed and compared with itself, 415 times. Recognised: every one saved as
PNG, as grey or as JPEG of quality 30 to 90, scaled by 0.25 to 2 or to a square, darkened by 30 %,
with 40 % more or less contrast or a gamma of 0.7 or 1.4; 99.8 % of those brightened by 30 %;
96.9 % of those cropped by 1 % on each side, 96.4 % by 2 % on one, 63 % by 2 % on each, 2 % by
5 % on one. Not recognised: turned, mirrored, inverted or framed pictures.

Different pictures taken for one: none in 1,090,740 pairs. Of the 148,785 pairs within SLAKE it
finds 253; each of the 40 looked at was two slices of one scan, which leak no less than a copy.
`tests/evaluate/leakage/test_measured.py` repeats this on fewer images.
"""

MIN_CORRELATION = 0.9
"""Two pictures whose thumbnails' grey levels correlate less are different pictures.

For large sets of chest films, whose hashes lie closest: among 33,930 pairs of them, 40 hashes lay
within 80 bits, each 4 bits less were 2.25 times fewer, and a tenth of the closest correlated so
well. That makes about one false match in 30 million pairs of chest films.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A train image that shows the same."""

    digest: str
    """sha256 of the train image's file."""
    distance_bits: int
    """Bits of 256 in which the hashes differ."""


class TrainImages:
    """The distinct train images, ready to be compared with one image after another."""

    def __init__(self, images: Iterable[Fingerprint]) -> None:
        distinct = {image.digest: image for image in images}
        self._digests = frozenset(distinct)
        self._pictures = [
            (digest, image.picture) for digest, image in distinct.items() if image.picture
        ]
        hashes = [picture.hash for _, picture in self._pictures]
        # One row a word: the sum over words then runs along whole rows, many times faster.
        self._words: npt.NDArray[np.uint64] = np.array(hashes, dtype=np.uint64).reshape(-1, 4).T

    def matches(self, image: Fingerprint) -> list[Match]:
        """The train images with the same bytes or the same looks, the closest first."""
        found = [Match(digest=image.digest, distance_bits=0)] * (image.digest in self._digests)
        if image.picture is None:
            return found
        differing = np.bitwise_count(self._words ^ image.picture.hash[:, None])
        distances = differing.sum(axis=0, dtype=np.int16)
        for place in np.flatnonzero(distances <= MAX_DISTANCE_BITS):
            digest, picture = self._pictures[place]
            if digest != image.digest and correlation(image.picture, picture) >= MIN_CORRELATION:
                found.append(Match(digest=digest, distance_bits=int(distances[place])))
        return sorted(found, key=lambda match: (match.digest != image.digest, match.distance_bits))


def correlation(one: Picture, other: Picture) -> float:
    """Pearson's correlation of two thumbnails' grey levels, 0 where one is a single grey.

    So a blank picture shows the same as no other: there is nothing in it to recognise.
    """
    first, second = (thumbnail - thumbnail.mean() for thumbnail in (one.thumbnail, other.thumbnail))
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / size if size else 0.0
