"""Files with flipped bytes: a picture or a sentence, and the asking process lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from tinymed.errors import ImageError
from tinymed.images.decoder import Decoder


@pytest.fixture(scope="module")
def mutation_decoder() -> Iterator[Decoder]:
    """One process for all mutations, as far as it lives."""
    with Decoder() as decoder:
        yield decoder


def small_files() -> list[Path]:
    """List the smaller ones of the files in pydicom's wheel."""
    folder = Path(str(get_testdata_file("CT_small.dcm", download=False))).parent
    return sorted(path for path in folder.rglob("*.dcm") if path.stat().st_size < 200_000)


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """Flip a few bytes, in the tags three times of four."""
    broken = bytearray(content)
    end = len(content) if random.integers(4) == 0 else min(len(content), 3000)
    for position in random.integers(128, end, random.integers(1, 9)):
        broken[position] ^= int(random.integers(1, 256))
    return bytes(broken)


def decode_mutations(decoder: Decoder, count: int) -> int:
    """Decode so many mutations of every kind of file; count those still shown."""
    random = np.random.default_rng(6)
    files = [path.read_bytes() for path in small_files()]
    num_shown = 0
    for number in range(count):
        try:
            frame = decoder.decode(mutated(files[number % len(files)], random))
        except ImageError as error:
            message = str(error)
            assert message.startswith("Cannot read this file: ")
            assert message.endswith(".")
            assert message.isprintable()
        else:
            assert frame.image.pixels.dtype == np.uint8
            num_shown += 1
    return num_shown


def test_a_hundred_mutations_end_in_a_picture_or_a_sentence(mutation_decoder: Decoder) -> None:
    assert 10 < decode_mutations(mutation_decoder, 100) < 90


@pytest.mark.slow
def test_thousands_of_mutations_end_in_a_picture_or_a_sentence(mutation_decoder: Decoder) -> None:
    assert 300 < decode_mutations(mutation_decoder, 5000) < 4700


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_thousand_mutations_of_a_photo_end_in_a_picture_or_a_sentence(
    mutation_decoder: Decoder, kind: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(7)
    noise = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a", format=kind)
    content = (tmp_path / "a").read_bytes()
    num_refused = 0
    for _ in range(1000):
        broken = bytearray(content)
        broken[int(random.integers(8, len(content)))] ^= int(random.integers(1, 256))
        try:
            assert mutation_decoder.decode(bytes(broken)).image.pixels.ndim == 3
        except ImageError:
            num_refused += 1
    assert 0 < num_refused <= 1000
