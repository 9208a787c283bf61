"""An image file in memory: its bytes, the frames that were decoded, what the model takes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from tinymed.images.received import ReceivedFrame
from tinymed.serve.desk.jobs import Picture
from tinymed.serve.desk.read_images import bytes_of

MAX_FRAME_BYTES = 64_000_000
"""Decoded frames that are kept of one file; always at least one."""
MAX_PICTURES = 8
"""Frames of one file that are kept as the model takes them."""


class StoredImage:
    """One file, whoever sent it; cases about the same bytes share it."""

    def __init__(self, sha256: str, body: bytes, first: ReceivedFrame) -> None:
        """Keep a file whose first frame to be shown is decoded."""
        self.sha256 = sha256
        self.num_frames = first.num_frames
        self.first_frame = first.frame
        """From 0; the one to be shown first."""
        self.facts = first.facts
        self.source = first.image.source
        self.notes = first.image.notes
        self.height, self.width = first.image.pixels.shape[:2]
        self.private_words = first.private_words
        self.body = body if first.num_frames > 1 else b""
        """For the other frames; nothing where there are none."""
        self.num_cases = 0
        """Open ones about it."""
        self.forgotten = threading.Event()
        """Set when nothing of it is to be kept any more; its pictures share it."""
        self._pictures: OrderedDict[int, Picture] = OrderedDict()
        self._frames: OrderedDict[int, ReceivedFrame] = OrderedDict()
        self.keep(first)

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing of it is to be kept any more."""
        return self.forgotten.is_set()

    def frame(self, index: int) -> ReceivedFrame | None:
        """A frame, if it is decoded."""
        if index in self._frames:
            self._frames.move_to_end(index)
        return self._frames.get(index)

    def keep(self, frame: ReceivedFrame) -> None:
        """Keep a decoded frame, and drop those used longest ago."""
        self._frames[frame.frame] = frame
        while len(self._frames) > 1 and self._frame_bytes() > MAX_FRAME_BYTES:
            self._frames.popitem(last=False)

    def picture(self, index: int) -> Picture | None:
        """A frame as the model takes it, if it is prepared."""
        if index in self._pictures:
            self._pictures.move_to_end(index)
        return self._pictures.get(index)

    def keep_picture(self, index: int, picture: Picture) -> None:
        """Keep a prepared frame, and drop those used longest ago, but never the first shown."""
        self._pictures[index] = picture
        while len(self._pictures) > MAX_PICTURES:
            del self._pictures[next(i for i in self._pictures if i != self.first_frame)]

    def num_bytes(self) -> int:
        """What it takes, without what the model has read."""
        pictures = sum(bytes_of(picture.pixels) for picture in self._pictures.values())
        return len(self.body) + self._frame_bytes() + pictures

    def forget(self) -> None:
        """Let go of everything, also in the hands of those who still look at it."""
        self.forgotten.set()
        self._pictures.clear()
        self._frames.clear()
        self.body = b""

    def _frame_bytes(self) -> int:
        return sum(
            frame.image.pixels.nbytes + (frame.levels.values.nbytes if frame.levels else 0)
            for frame in self._frames.values()
        )
