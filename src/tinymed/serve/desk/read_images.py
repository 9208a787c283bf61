"""What the model has read of images, kept so that a further question pays for none of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tinymed.engines.protocol import EncodedImage
from tinymed.safe.gate import Alert

PictureKey = tuple[str, int]
"""The sha256 of an image file, and the frame."""

SHARE_OF_READ_IMAGES = 0.25
"""Of the memory for all cases, what key-value caches may take; pixels may take the rest."""

_WALKED = ("tinymed.", "transformers.cache_utils")
"""Modules whose objects are looked into when their bytes are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImage:
    """An image that the model has read."""

    encoded: EncodedImage
    scope_alerts: tuple[Alert, ...] = ()


class ReadImages:
    """The images that were asked about last, as many as fit; for any thread."""

    def __init__(self, max_bytes: int) -> None:
        """Nothing read yet; `max_bytes` of key-value caches are kept, and always one image."""
        self._max_bytes = max_bytes
        self._kept: OrderedDict[PictureKey, ReadImage] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: PictureKey) -> ReadImage | None:
        """What was read, which is now the last to be dropped; None if it is to be read."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: PictureKey, read: ReadImage) -> None:
        """Keep an image, and drop those used longest ago until all fit."""
        with self._lock:
            self._kept[key] = read
            # Counted anew each time: llama.cpp's states grow when another takes their place.
            while len(self._kept) > 1 and self._count() > self._max_bytes:
                self._kept.popitem(last=False)

    def forget(self, image_sha256: str) -> None:
        """Drop every frame of a file."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == image_sha256]:
                del self._kept[key]

    def forget_all(self) -> None:
        """Drop everything, because memory has run out."""
        with self._lock:
            self._kept.clear()

    def num_bytes(self) -> int:
        """Of all that is kept."""
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return sum(bytes_of(read.encoded.state) for read in self._kept.values())


def bytes_of(state: Any) -> int:
    """How much memory an engine's state of an image takes: its arrays, tensors and bytes.

    >>> bytes_of({"keys": (b"12345678", b"1234"), "num_tokens": 3})
    12
    """
    return _bytes_of(state, set())


def _bytes_of(value: Any, seen: set[int]) -> int:
    if id(value) in seen or value is None or isinstance(value, str | int | float):
        return 0
    seen.add(id(value))
    if isinstance(value, bytes | bytearray):
        return len(value)
    for name in ("nbytes", "byte_size"):  # numpy and torch; OpenVINO
        size = getattr(value, name, None)
        if isinstance(size, int):
            return size
    return sum(_bytes_of(part, seen) for part in _parts(value))


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, Iterable):
        return value
    if type(value).__module__.startswith(_WALKED):
        names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
        return [getattr(value, name, None) for name in names]
    return ()
