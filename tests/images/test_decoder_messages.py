"""What the decoding process says is held against what it may be."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymed.images.decoder_messages import (
    BadReplyError,
    read_job,
    read_reply,
    write_job,
    write_reply,
)
from tinymed.images.medical_image import MedicalImage
from tinymed.images.received import GreyLevels, ImageFacts, ReceivedFrame

GREY = ReceivedFrame(
    image=MedicalImage(
        pixels=np.stack(
            [np.arange(320, dtype=np.uint16).reshape(16, 20) % 256] * 3, axis=-1
        ).astype(np.uint8),
        source="dicom",
        notes=("window center 3 width 4",),
    ),
    levels=GreyLevels(
        values=np.arange(-160, 160, dtype=np.int16).reshape(16, 20),
        center=3.0,
        width=4.5,
        is_inverted=True,
    ),
    frame=1,
    num_frames=3,
    facts=ImageFacts(modality="CR", body_part="CHEST", says_burned_in_text=False, has_spacing=True),
    private_words=("doe", "山田"),
)


def said(reply: ReceivedFrame | str) -> bytes:
    """Give the bytes of a reply."""
    stream = io.BytesIO()
    write_reply(stream, reply)
    return stream.getvalue()


def heard(content: bytes) -> ReceivedFrame | str:
    """Read a reply's bytes."""
    return read_reply(io.BytesIO(content))


HEADER: dict[str, Any] = json.loads(said(GREY).partition(b"\n")[0])
BODY = said(GREY).partition(b"\n")[2]


def changed(**fields: object) -> bytes:
    """Give a good reply with other fields."""
    return json.dumps(HEADER | fields).encode() + b"\n" + BODY


def test_a_frame_is_heard_as_it_was_said() -> None:
    frame = heard(said(GREY))
    assert isinstance(frame, ReceivedFrame)
    assert frame.levels is not None
    assert GREY.levels is not None
    assert (frame.image.pixels == GREY.image.pixels).all()
    assert (frame.levels.values == GREY.levels.values).all()
    assert frame.levels.values.dtype == np.int16
    assert (frame.levels.center, frame.levels.width, frame.levels.is_inverted) == (3.0, 4.5, True)
    assert (frame.frame, frame.num_frames, frame.facts) == (1, 3, GREY.facts)
    assert (frame.image.notes, frame.private_words) == (GREY.image.notes, GREY.private_words)


def test_a_sentence_is_heard_as_it_was_said() -> None:
    assert heard(said("Cannot read this file: it is empty.")) == (
        "Cannot read this file: it is empty."
    )


@pytest.mark.parametrize("frame", [None, 0, 7])
def test_a_job_is_heard_as_it_was_given(frame: int | None) -> None:
    stream = io.BytesIO()
    write_job(stream, b"abc", frame)
    stream.seek(0)
    assert read_job(stream) == (3, frame)
    assert stream.read() == b"abc"
    assert read_job(stream) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 0},
        {"height": 15},
        {"height": -16},
        {"height": 16.0},
        {"height": True},
        {"height": 10**30},
        {"width": 50_000_000},
        {"width": None},
        {"channels": 2},
        {"channels": True},
        {"channels": 1.0},
        {"source": "gif"},
        {"notes": "text"},
        {"notes": ["a\nb"]},
        {"notes": ["\x1b[31m"]},
        {"notes": ["a" * 501]},
        {"notes": ["a"] * 201},
        {"notes": [1]},
        {"private_words": {"a": 1}},
        {"frame": 3},
        {"frame": -1},
        {"num_frames": 0},
        {"num_frames": 10_001},
        {"modality": "Doe Jane"},
        {"body_part": "<b>"},
        {"says_burned_in_text": 1},
        {"is_from_camera": None},
        {"has_spacing": "yes"},
        {"levels": []},
        {"levels": HEADER["levels"] | {"type": "float64"}},
        {"levels": HEADER["levels"] | {"type": "object"}},
        {"levels": HEADER["levels"] | {"center": float("nan")}},
        {"levels": HEADER["levels"] | {"center": 10**400}},
        {"levels": HEADER["levels"] | {"width": float("inf")}},
        {"levels": HEADER["levels"] | {"width": 0.0}},
        {"levels": HEADER["levels"] | {"is_inverted": 0}},
        {"error": 3},
        {"error": "two\nlines"},
    ],
    ids=str,
)
def test_a_field_that_cannot_be_is_not_believed(fields: dict[str, object]) -> None:
    with pytest.raises(BadReplyError):
        heard(changed(**fields))


@pytest.mark.parametrize("field", sorted(set(HEADER) - {"levels"}))
def test_a_field_that_is_missing_is_missed(field: str) -> None:
    header = {name: value for name, value in HEADER.items() if name != field}
    optional = {"modality", "body_part", "says_burned_in_text"}
    content = json.dumps(header).encode() + b"\n" + BODY
    if field in optional:
        assert isinstance(heard(content), ReceivedFrame)
    else:
        with pytest.raises(BadReplyError):
            heard(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"[]\n",
        b"3\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 200_000 + b"\n",
        b"{" + b" " * 400_000 + b"}\n",
        said(GREY)[:-1],
        said(GREY).partition(b"\n")[0] + b"\n",
    ],
    ids=["nothing", "line", "list", "number", "empty", "noise", "deep", "long", "short", "bare"],
)
def test_what_is_no_reply_is_not_believed(content: bytes) -> None:
    with pytest.raises(BadReplyError):
        heard(content)


@given(st.binary(max_size=400))
def test_noise_is_never_more_than_a_bad_reply(content: bytes) -> None:
    with pytest.raises(BadReplyError):
        heard(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(HEADER)), JSON, st.binary(max_size=50))
def test_any_value_in_any_field_is_refused_or_within_limits(
    field: str, value: object, body: bytes
) -> None:
    content = json.dumps(HEADER | {field: value}).encode() + b"\n" + BODY + body
    try:
        frame = heard(content)
    except BadReplyError:
        return
    assert isinstance(frame, ReceivedFrame)
    height, width, channels = frame.image.pixels.shape
    assert height * width <= 50_000_000
    assert (min(height, width) >= 16, channels) == (True, 3)
    assert 0 <= frame.frame < frame.num_frames <= 10_000
    assert all(text.isprintable() for text in (*frame.image.notes, *frame.private_words))


@given(st.integers(0, len(said(GREY)) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_shows_a_frame(position: int, flip: int) -> None:
    content = bytearray(said(GREY))
    content[position] ^= flip
    try:
        reply = heard(bytes(content))
    except BadReplyError:
        return
    assert isinstance(reply, ReceivedFrame)
