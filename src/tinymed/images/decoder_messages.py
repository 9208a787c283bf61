"""What a decoding process and its parent say to each other.

A job is two numbers and the file's bytes; a reply is a line of JSON and bare pixels. The parent
believes nothing of a reply: a file that takes over the process can say what it likes. So each
field is held against what it may be, and sizes are computed here from shapes within the limits.
"""

from __future__ import annotations

import json
import math
import struct
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from tinymed.images.limits import MAX_FRAMES, MAX_PICTURE_PIXELS, MIN_SIDE_PX
from tinymed.images.medical_image import MedicalImage
from tinymed.images.received import GreyLevels, ImageFacts, ReceivedFrame

READY: Final = b"ready\n"
"""The first that a process says."""
_JOB: Final = struct.Struct("<Qq")
"""Bytes that follow, and the frame."""
_MIDDLE_FRAME: Final = -1
_MAX_HEADER_BYTES: Final = 262_144
_MAX_TEXTS: Final = 200
_MAX_CHARACTERS: Final = 500
_SOURCES: Final = ("dicom", "png", "jpeg")
_LEVEL_TYPES: Final = ("uint8", "uint16", "int16")


class BadReplyError(Exception):
    """What came is not what a decoding process says."""


def write_job(stream: IO[bytes], data: bytes, frame: int | None) -> None:
    """Send a file's bytes, and the frame wanted or None for the middle one."""
    stream.write(_JOB.pack(len(data), _MIDDLE_FRAME if frame is None else frame))
    stream.write(data)
    stream.flush()


def read_job(stream: IO[bytes]) -> tuple[int, int | None] | None:
    """Receive how many bytes a job has, and the frame wanted; None where no more will come."""
    header = stream.read(_JOB.size)
    if len(header) < _JOB.size:
        return None
    num_bytes, frame = _JOB.unpack(header)
    return num_bytes, None if frame == _MIDDLE_FRAME else frame


def write_reply(stream: IO[bytes], reply: ReceivedFrame | str) -> None:
    """Send a frame, or the sentence that says why there is none."""
    if isinstance(reply, str):
        stream.write(_line({"error": reply[:_MAX_CHARACTERS]}))
        stream.flush()
        return
    image, levels, facts = reply.image, reply.levels, reply.facts
    # A third of the bytes where the channels are alike, as they are where there are levels.
    pixels = image.pixels if levels is None else image.pixels[..., :1]
    header = {
        "height": image.pixels.shape[0],
        "width": image.pixels.shape[1],
        "channels": pixels.shape[2],
        "source": image.source,
        "notes": image.notes,
        "frame": reply.frame,
        "num_frames": reply.num_frames,
        "levels": None
        if levels is None
        else {
            "type": levels.values.dtype.name,
            "center": float(levels.center),
            "width": float(levels.width),
            "is_inverted": levels.is_inverted,
        },
        "modality": facts.modality,
        "body_part": facts.body_part,
        "says_burned_in_text": facts.says_burned_in_text,
        "is_from_camera": facts.is_from_camera,
        "has_spacing": facts.has_spacing,
        "private_words": reply.private_words,
    }
    stream.write(_line(header))
    stream.write(np.ascontiguousarray(pixels).data)
    if levels is not None:
        stream.write(np.ascontiguousarray(levels.values).data)
    stream.flush()


def _line(header: dict[str, Any]) -> bytes:
    return json.dumps(header).encode("ascii") + b"\n"


def read_reply(stream: IO[bytes]) -> ReceivedFrame | str:
    """Receive what `write_reply` sent.

    Raises:
        BadReplyError: If it is anything else, or ends early.
    """
    header = _header(stream)
    if "error" in header:
        return _text(header["error"])
    height, width = _sides(header)
    grey = _choice(header.get("channels"), (1, 3)) == 1
    described = header.get("levels")
    facts = ImageFacts(
        modality=_optional_term(header.get("modality")),
        body_part=_optional_term(header.get("body_part")),
        says_burned_in_text=_choice(header.get("says_burned_in_text"), (None, True, False)),
        is_from_camera=_choice(header.get("is_from_camera"), (True, False)),
        has_spacing=_choice(header.get("has_spacing"), (True, False)),
    )
    num_frames = _whole(header.get("num_frames"), 1, MAX_FRAMES)
    frame = _whole(header.get("frame"), 0, num_frames - 1)
    notes, words = _texts(header.get("notes")), _texts(header.get("private_words"))
    source = _choice(header.get("source"), _SOURCES)
    window = None if described is None else _window(described)
    pixels = _array(stream, (height, width, 1 if grey else 3), "uint8")
    if grey:
        pixels = np.stack([pixels[..., 0]] * 3, axis=-1)
    levels = None
    if window is not None:
        kind, center, breadth, is_inverted = window
        values = _array(stream, (height, width), kind)
        levels = GreyLevels(values=values, center=center, width=breadth, is_inverted=is_inverted)
    return ReceivedFrame(
        image=MedicalImage(pixels=pixels, source=source, notes=notes),
        levels=levels,
        frame=frame,
        num_frames=num_frames,
        facts=facts,
        private_words=words,
    )


def _header(stream: IO[bytes]) -> dict[str, Any]:
    line = stream.readline(_MAX_HEADER_BYTES)
    if not line.endswith(b"\n"):
        raise BadReplyError("no line")
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadReplyError("not JSON") from error
    if not isinstance(header, dict):
        raise BadReplyError("not an object")
    return header


def _sides(header: dict[str, Any]) -> tuple[int, int]:
    height = _whole(header.get("height"), MIN_SIDE_PX, MAX_PICTURE_PIXELS // MIN_SIDE_PX)
    return height, _whole(header.get("width"), MIN_SIDE_PX, MAX_PICTURE_PIXELS // height)


def _window(described: object) -> tuple[str, float, float, bool]:
    if not isinstance(described, dict):
        raise BadReplyError("no window")
    kind = _choice(described.get("type"), _LEVEL_TYPES)
    center, width = _number(described.get("center")), _number(described.get("width"))
    if width <= 0:
        raise BadReplyError("an empty window")
    return kind, center, width, _choice(described.get("is_inverted"), (True, False))


def _array(stream: IO[bytes], shape: tuple[int, ...], kind: str) -> npt.NDArray[Any]:
    values = np.empty(shape, dtype=kind)
    room = values.data.cast("B")
    filled = 0
    while filled < len(room):
        num_bytes = stream.readinto(room[filled:])  # type: ignore[attr-defined]
        if not num_bytes:
            raise BadReplyError("too few pixels")
        filled += num_bytes
    return values


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    # By type too: to Python 1 is True.
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise BadReplyError("not one of the choices")
    return value


def _whole(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise BadReplyError("not a whole number within its limits")
    return value


def _number(value: object) -> float:
    # An integer of hundreds of digits is no float.
    if not isinstance(value, float) or not math.isfinite(value):
        raise BadReplyError("not a finite number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_CHARACTERS or not value.isprintable():
        raise BadReplyError("not one printable line")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MAX_TEXTS:
        raise BadReplyError("not a few texts")
    return tuple(_text(text) for text in value)


def _optional_term(value: object) -> str | None:
    if value is None:
        return None
    term = _text(value)
    if not (term.isascii() and term.isalnum() and term.isupper()):
        raise BadReplyError("not one of DICOM's terms")
    return term
