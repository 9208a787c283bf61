"""Files of packed matrices: written tensor by tensor, loaded into one piece of memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file, save_file

from tinymed.engines.native import arena
from tinymed.engines.native.arena import load_arena
from tinymed.engines.native.layout import (
    Layout,
    Matrix,
    PlainTensor,
    num_bytes,
    num_weights,
    placed,
)
from tinymed.engines.native.packed import pack
from tinymed.engines.native.tensor_file import read_config, write_tensors
from tinymed.errors import ModelError

LAYOUT: Layout = {
    "norm.weight": PlainTensor(shape=(5,)),
    "fc": Matrix(bits=4, rows=20, columns=40, has_bias=True),
    "positions": PlainTensor(shape=(3, 7), dtype="F16"),
    "head": Matrix(bits=8, rows=33, columns=64),
}


def arrays() -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(0)
    return {
        "norm.weight": rng.normal(size=5).astype("f4"),
        "fc.weight": pack(rng.normal(size=(20, 40)).astype("f4"), 4),
        "fc.bias": rng.normal(size=20).astype("f4"),
        "positions": rng.normal(size=(3, 7)).astype("f2"),
        "head.weight": pack(rng.normal(size=(33, 64)).astype("f4"), 8),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "model.safetensors", LAYOUT, arrays().__getitem__, config={"b": 1})
    return tmp_path / "model.safetensors"


def test_a_file_is_one_that_everybody_reads(path: Path) -> None:
    found = load_file(path)
    for name, values in arrays().items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found.pop(name), values)
    assert found == {}


def test_tensors_are_made_one_at_a_time_and_in_order(tmp_path: Path) -> None:
    made = []

    def make(name: str) -> npt.NDArray[Any]:
        # What was made before is on its way to the disk, not in a list.
        made.append(name)
        return arrays()[name]

    write_tensors(tmp_path / "model.safetensors", LAYOUT, make, config={})
    assert made == list(arrays())


def test_numbers_that_sixteen_bits_cannot_hold_are_refused(tmp_path: Path) -> None:
    broken = arrays() | {"positions": np.full((3, 7), 1e6, np.float32)}
    with pytest.raises(ModelError, match="'positions' holds numbers that F16 cannot hold"):
        write_tensors(tmp_path / "model.safetensors", LAYOUT, broken.__getitem__, config={})


@pytest.mark.parametrize("at_once", [arena.BYTES_AT_ONCE, 100])
def test_every_tensor_comes_back_on_a_cache_line_of_its_own(
    path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(arena, "BYTES_AT_ONCE", at_once)
    loaded = load_arena(path)
    assert read_config(loaded.metadata, path) == {"b": 1}
    assert list(loaded.tensors) == list(arrays())
    for name, values in arrays().items():
        found = loaded.tensors[name]
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
        assert found.ctypes.data % 64 == 0
        assert not found.flags.writeable


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_memory_is_private_and_asks_for_large_pages(path: Path) -> None:
    """Shared memory, Python's default, is given none."""
    tensor = load_arena(path).tensors["head.weight"]
    maps = Path("/proc/self/smaps").read_text().splitlines()
    starts = [place for place, line in enumerate(maps) if "-" in line.split()[0]]
    for place, end in zip(starts, [*starts[1:], len(maps)], strict=True):
        first, last = (int(word, 16) for word in maps[place].split()[0].split("-"))
        if first <= tensor.ctypes.data < last:
            assert maps[place].split()[1] == "rw-p"
            (flags,) = (line for line in maps[place:end] if line.startswith("VmFlags:"))
            assert "hg" in flags.split()
            return
    pytest.fail("no mapping holds the tensor")


def test_a_file_that_is_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="is not a whole safetensors file"):
        load_arena(path)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Cannot read"):
        load_arena(tmp_path / "model.safetensors")


def test_tensors_of_another_type_are_refused(tmp_path: Path) -> None:
    save_file({"fc.weight": np.zeros(3, np.int64)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"1 tensors of a type .* \['fc.weight'\]"):
        load_arena(tmp_path / "model.safetensors")


@pytest.mark.parametrize("metadata", [{}, {"config": "{"}])
def test_a_file_that_does_not_say_what_it_holds_is_refused(
    path: Path, metadata: dict[str, str]
) -> None:
    with pytest.raises(ModelError, match="does not say what it holds; build it again"):
        read_config(metadata, path)


def test_every_tensor_has_a_place_and_every_place_a_tensor(path: Path) -> None:
    tensors = placed(arrays(), LAYOUT, path)
    assert set(tensors.matrices) == {"fc", "head"}
    assert tensors.matrices["head"].bias is None
    np.testing.assert_array_equal(tensors.matrices["fc"].bias, arrays()["fc.bias"])
    assert tensors.plain["positions"].dtype == np.float32
    np.testing.assert_array_equal(tensors.plain["positions"], arrays()["positions"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, r"1 tensors are missing \(first: \['fc.bias'\]\)"),
        ({"more": np.zeros(3, np.float32)}, r"1 have no place \(first: \['more'\]\)"),
        ({"norm.weight": np.zeros(4, np.float32)}, r"1 have another shape .*\['norm.weight'\]"),
        ({"positions": np.zeros((3, 7), np.float32)}, r"1 have another shape .*\['positions'\]"),
    ],
)
def test_what_does_not_fit_is_named(path: Path, change: dict[str, Any], message: str) -> None:
    found = {name: values for name, values in (arrays() | change).items() if values is not None}
    with pytest.raises(ModelError, match=message):
        placed(found, LAYOUT, path)


def test_a_layout_counts_weights_and_bytes(path: Path) -> None:
    assert num_weights(LAYOUT) == 5 + 20 * 41 + 21 + 33 * 64
    assert num_bytes(LAYOUT) == sum(values.nbytes for values in arrays().values())
