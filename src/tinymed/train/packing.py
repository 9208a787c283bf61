"""Several questions about one image in one sequence, as if each were alone.

The image is read once; each question sees the image and itself, never another question:
a block mask keeps them apart and positions restart after the image. One sequence of ten
questions costs the image tokens once instead of ten times, and gives each question the
logits it would have alone (a test shows it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymed.models.prompt import Prompt
from tinymed.records import Sample

IGNORED = -100
"""Label where no answer token is to be predicted."""

SHARED = 0
"""Block of the prompt's prefix and the image tokens; questions are blocks 1, 2, …"""

PADDING = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSequence:
    """One image with its questions and answers, as token arrays of one length."""

    image: str
    """Key of the image's features."""
    token_ids: npt.NDArray[np.int64]
    """The prompt's image token stands where image tokens go."""
    positions: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    """Next token where it belongs to an answer, IGNORED elsewhere."""


def pack(
    image: str, samples: Sequence[Sample], prompt: Prompt, *, num_image_tokens: int
) -> PackedSequence:
    """Lay out one image and all its questions as one sequence."""
    prefix = [*prompt.prefix_ids, *[prompt.image_id] * num_image_tokens]
    token_ids = list(prefix)
    positions = list(range(len(prefix)))
    blocks = [SHARED] * len(prefix)
    labels = [IGNORED] * len(prefix)
    for block, sample in enumerate(samples, start=1):
        question = prompt.question_ids(sample.question)
        answer = prompt.answer_ids(sample.reference)
        # The last token, the end of the answer, predicts nothing: it is left out.
        ids = question + answer[:-1]
        token_ids += ids
        positions += range(len(prefix), len(prefix) + len(ids))
        blocks += [block] * len(ids)
        labels += [IGNORED] * (len(question) - 1) + answer
    return PackedSequence(
        image=image,
        token_ids=np.array(token_ids),
        positions=np.array(positions),
        blocks=np.array(blocks),
        labels=np.array(labels),
    )


def group_by_image(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Samples of each image file, in the order met; samples without an image are left out."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.image is not None:
            groups.setdefault(str(sample.image), []).append(sample)
    return groups


def batches(
    sequences: Sequence[PackedSequence], *, size: int, seed: int, epoch: int
) -> list[list[PackedSequence]]:
    """One epoch's batches: shuffled, but of like lengths so that little is padding.

    The order depends on seed and epoch alone, so a resumed run sees the same batches.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(sequences))
    # Sort by length within windows of eight batches: like lengths, still shuffled.
    window = 8 * size
    chunks: list[list[PackedSequence]] = []
    for start in range(0, len(order), window):
        part = sorted(order[start : start + window], key=lambda i: len(sequences[i].token_ids))
        chunks += [
            [sequences[index] for index in part[first : first + size]]
            for first in range(0, len(part), size)
        ]
    return [chunks[index] for index in rng.permutation(len(chunks))]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """Sequences padded to one length."""

    images: list[str]
    token_ids: npt.NDArray[np.int64]
    """Shape (batch, length)."""
    positions: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_]
    """Shape (batch, 1, length, length): True where a row may look at a column."""
    labels: npt.NDArray[np.int64]


def collate(sequences: Sequence[PackedSequence], *, padding_id: int) -> PackedBatch:
    """Pad sequences to the longest and draw their block masks."""
    length = max(len(sequence.token_ids) for sequence in sequences)

    def padded(name: str, value: int) -> npt.NDArray[np.int64]:
        rows = np.full((len(sequences), length), value, dtype=np.int64)
        for row, sequence in zip(rows, sequences, strict=True):
            values = getattr(sequence, name)
            row[: len(values)] = values
        return rows

    blocks = padded("blocks", PADDING)
    same = blocks[:, :, None] == blocks[:, None, :]
    shared = (blocks == SHARED)[:, None, :]
    earlier = np.tri(length, dtype=bool)
    return PackedBatch(
        images=[sequence.image for sequence in sequences],
        token_ids=padded("token_ids", padding_id),
        positions=padded("positions", 0),
        mask=((same | shared) & earlier)[:, None],
        labels=padded("labels", IGNORED),
    )
