"""Damaging a small file in the ways that have broken native readers."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

EXTREME = (0, 1, 2, 127, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**62, 2**63 - 1, 2**63)
WORDS = (*EXTREME, 2**64 - 1, 2**64 - 8)


def mutations(content: bytes, *, count: int, seed: int, header_bytes: int) -> Iterator[bytes]:
    """`count` damaged copies; most of the damage falls into the first `header_bytes`."""
    rng = random.Random(seed)
    for number in range(count):
        damage = (_flip, _truncate, _put_extreme, _swap, _repeat, _put_number)[number % 6]
        copy = bytearray(content)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            damage(copy, rng, header_bytes)
        yield bytes(copy)


def _flip(copy: bytearray, rng: random.Random, header_bytes: int) -> None:
    position = rng.randrange(min(header_bytes, len(copy)))
    copy[position] ^= 1 << rng.randrange(8)


def _truncate(copy: bytearray, rng: random.Random, header_bytes: int) -> None:
    if len(copy) > 2:
        del copy[rng.choice((rng.randrange(1, len(copy)), len(copy) - 1)) :]


def _put_extreme(copy: bytearray, rng: random.Random, header_bytes: int) -> None:
    width = rng.choice((4, 8))
    word = (rng.choice(WORDS) % 2 ** (8 * width)).to_bytes(width, "little")
    position = rng.randrange(min(header_bytes, len(copy)))
    copy[position : position + width] = word


def _swap(copy: bytearray, rng: random.Random, header_bytes: int) -> None:
    length = rng.choice((1, 4, 8, 32))
    a, b = (rng.randrange(header_bytes) for _ in range(2))
    a, b = min(a, b), max(a, b)
    if a + length <= b:
        first, second = bytes(copy[a : a + length]), bytes(copy[b : b + length])
        copy[b : b + length] = first
        copy[a : a + length] = second


def _repeat(copy: bytearray, rng: random.Random, header_bytes: int) -> None:
    start = rng.randrange(min(header_bytes, len(copy)))
    piece = bytes(copy[start : start + rng.choice((1, 8, 40))])
    copy[start:start] = piece * rng.choice((1, 3))


def _put_number(copy: bytearray, rng: random.Random, header_bytes: int) -> None:
    """Replace a number that is spelt out, and keep a safetensors header's length true."""
    places = [place.span() for place in re.finditer(rb"\d+", copy[8:header_bytes])]
    if not places:
        return
    start, end = rng.choice(places)
    spelt = str(rng.choice((*WORDS, 2**64, 2**70, -1, "1e3", "NaN", "[[[[1]]]]"))).encode()
    copy[8 + start : 8 + end] = spelt
    length = int.from_bytes(copy[:8], "little") + len(spelt) - (end - start)
    if 8 + length <= len(copy):
        copy[:8] = length.to_bytes(8, "little")
