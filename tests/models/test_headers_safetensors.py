"""Safetensors headers: what the checker refuses, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tinymed.errors import ModelError
from tinymed.models.headers import safetensors_header
from tinymed.models.headers.safetensors_header import BITS, check_safetensors

F32 = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def written(path: Path, header: Any, *, num_data_bytes: int = 24) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(num_data_bytes))
    return path


def test_a_file_of_the_library_is_read_as_the_library_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((0, 5), np.int8)}
    save_file(tensors, path, metadata={"format": "pt"})
    header = check_safetensors(path)
    assert {name: tensor.shape for name, tensor in header.tensors.items()} == {
        "a": (2, 3),
        "b": (0, 5),
    }
    assert header.metadata == {"format": "pt"}


@pytest.mark.parametrize("dtype", sorted(BITS))
def test_every_type_has_the_size_that_the_library_gives_it(dtype: str, tmp_path: Path) -> None:
    from safetensors import safe_open

    num_bytes = BITS[dtype]  # eight values of that many bits
    entry = {"dtype": dtype, "shape": [8], "data_offsets": [0, num_bytes]}
    path = written(tmp_path / "one.safetensors", {"x": entry}, num_data_bytes=num_bytes)
    check_safetensors(path)
    if dtype in ("F8_E5M2FNUZ", "F8_E4M3FNUZ", "C64"):
        return
    with safe_open(str(path), framework="np") as file:
        assert file.get_slice("x").get_shape() == [8]


REFUSED = {
    "an unknown field": ({"x": F32 | {"more": 1}}, "by dtype, shape and data_offsets alone"),
    "a list for a tensor": ({"x": [1]}, "by dtype, shape and data_offsets alone"),
    "an unknown type": ({"x": F32 | {"dtype": "F128"}}, "has the unknown type 'F128'"),
    "a type that is a list": ({"x": F32 | {"dtype": ["F32"]}}, "has the unknown type"),
    "a negative size": ({"x": F32 | {"shape": [-2, -3]}}, "the number -2 is negative"),
    "a fraction": ({"x": F32 | {"shape": [2.0, 3]}}, "2.0 is not a whole number"),
    "a truth for a number": ({"x": F32 | {"shape": [True, 6]}}, "not lists of whole numbers"),
    "three offsets": ({"x": F32 | {"data_offsets": [0, 1, 24]}}, "not lists of whole numbers"),
    "a shape that does not fit": ({"x": F32 | {"shape": [2, 4]}}, "needs 256 bits by its shape"),
    "offsets in reverse": ({"x": F32 | {"data_offsets": [24, 0]}}, "its offsets 24 to 0 hold"),
    "a product that overflows": ({"x": F32 | {"shape": [2**32, 2**32]}}, "size overflows"),
    "a product that overflows to nought": (
        {"x": F32 | {"shape": [2**62, 2**62, 0], "data_offsets": [0, 0]}},
        "size overflows",
    ),
    "a hole": (
        {"x": F32, "y": F32 | {"data_offsets": [28, 52]}},
        "'y' begins at data byte 28, where the one before it ends at 24",
    ),
    "an overlap": ({"x": F32, "y": F32}, "'y' begins at data byte 0, where .* ends at 24"),
    "an end beyond the file": (
        {"x": F32, "y": F32 | {"data_offsets": [24, 48]}},
        "its tensors take 48 bytes, and 24 follow the header",
    ),
    "metadata that is no text": ({"__metadata__": {"a": 1}, "x": F32}, "not a table of texts"),
    "a list for a header": (b"[1]", "does not begin with '{'"),
    "no JSON": (b'{"x": nothing}', "is not the JSON it should be"),
    "no UTF-8": (b'{"\xff": 1}', "is not the JSON it should be"),
    "half a character": (b'{"\\ud800": 1}', "is not the JSON it should be"),
    "a name twice": (b'{"x": 1, "x": 1}', "the name 'x' stands twice"),
    "deep nesting": (b'{"x": ' + b"[" * 100_000, "is nested too deep"),
    "NaN": (b'{"x": NaN}', "NaN is not a whole number"),
    "a number of 5000 digits": (b'{"x": ' + b"9" * 5000 + b"}", "is not the JSON it should be"),
    "too many tensors": (b"{" * (safetensors_header.MAX_TENSORS + 3), "more than 100000 tensors"),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_a_header_that_lies_is_refused_with_the_place(what: str, tmp_path: Path) -> None:
    header, message = REFUSED[what]
    path = written(tmp_path / "bad.safetensors", header)
    with pytest.raises(ModelError, match=message) as caught:
        check_safetensors(path)
    assert str(caught.value).startswith(f"'{path}' is not a whole safetensors file: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has 0 bytes, too few for the header's length"),
        (b"\x01" * 7, "it has 7 bytes"),
        ((2**64 - 1).to_bytes(8, "little"), "states a header of 18446744073709551615 bytes"),
        ((40 << 20).to_bytes(8, "little") + bytes(50 << 20), "33554432 are allowed"),
    ],
    ids=["empty", "seven bytes", "longer than the file", "longer than allowed"],
)
def test_a_length_that_cannot_be_is_refused_before_it_is_read(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        check_safetensors(path)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Cannot read '.*': No such file"):
        check_safetensors(tmp_path / "none.safetensors")
