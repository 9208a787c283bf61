from __future__ import annotations

import numpy as np
import openvino as ov

from tinymed.engines.native.ops import Cache
from tinymed.engines.openvino.runtime import _ReadImage
from tinymed.engines.protocol import EncodedImage
from tinymed.serve.desk.read_images import ReadImage, ReadImages, bytes_of


def read(num_bytes: int) -> ReadImage:
    state = {"keys": np.zeros(num_bytes, np.uint8)}
    return ReadImage(
        encoded=EncodedImage(state=state, num_image_tokens=1, encode_ms=0.0, prefill_ms=0.0)
    )


def test_those_asked_about_longest_ago_are_dropped() -> None:
    kept = ReadImages(250)
    for name in "ab":
        kept.put((name, 0), read(100))
    assert kept.get(("a", 0)) is not None
    kept.put(("c", 0), read(100))
    assert kept.get(("b", 0)) is None
    assert kept.get(("a", 0)) is not None
    assert kept.num_bytes() == 200


def test_one_is_always_kept() -> None:
    kept = ReadImages(10)
    kept.put(("a", 0), read(100))
    kept.put(("b", 0), read(100))
    assert kept.num_bytes() == 100
    assert kept.get(("b", 0)) is not None


def test_every_frame_of_a_file_is_forgotten() -> None:
    kept = ReadImages(1000)
    for key in (("a", 0), ("a", 1), ("b", 0)):
        kept.put(key, read(100))
    kept.forget("a")
    assert kept.num_bytes() == 100
    kept.forget_all()
    assert kept.num_bytes() == 0


def test_the_bytes_of_each_engines_states_are_counted() -> None:
    tensor = ov.Tensor(np.zeros((2, 3, 4), np.float16))
    state = _ReadImage(cache=(tensor, tensor, ov.Tensor(np.zeros(5, np.float32))), num_tokens=3)
    assert bytes_of(state) == 2 * 3 * 4 * 2 + 5 * 4
    cache = Cache(keys=np.zeros(7, np.float32), values=np.zeros(7, np.float32))
    assert bytes_of([cache]) == 2 * 7 * 4
