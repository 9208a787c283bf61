from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.engines.native import packed
from tinymed.engines.native.packed import PackedMatrix, pack, packed_shape, unpack
from tinymed.engines.rounding import Array, quantize_rows
from tinymed.errors import ModelError

SHAPES = {
    "rows": st.integers(1, 50),
    "columns": st.integers(1, 100),
    "bits": st.sampled_from([4, 8]),
}


def normal(rows: int, columns: int) -> Array:
    return np.random.default_rng(rows + 100 * columns).normal(0, 0.1, (rows, columns)).astype("f4")


def packed_matrix(weight: Array, bits: int) -> PackedMatrix:
    rows, columns = weight.shape
    return PackedMatrix(bits=bits, rows=rows, columns=columns, data=pack(weight, bits))


def by_hand(weight: Array, bits: int) -> tuple[Array, Array]:
    """Integers (rows, groups, 32) and scales (rows, groups), filled up with zeros."""
    rows, columns = weight.shape
    filled = np.zeros((-(-rows // 16) * 16, -(-columns // 32) * 32), np.float32)
    filled[:rows, :columns] = weight
    integers, scales = quantize_rows(filled.reshape(-1, 32), bits=bits)
    groups = filled.shape[1] // 32
    return integers.reshape(-1, groups, 32), scales.reshape(-1, groups)


@settings(max_examples=40, deadline=None)
@given(**SHAPES)
def test_every_byte_stands_where_the_layout_says(rows: int, columns: int, bits: int) -> None:
    weight = normal(rows, columns)
    data = pack(weight, bits)
    integers, scales = by_hand(weight, bits)
    groups = integers.shape[1]
    whole = 256 if bits == 4 else 512
    assert data.shape == (len(integers) // 16, -(-groups * (whole + 32) // 64) * 64)
    assert data.dtype == np.uint8
    for row, group, column in np.ndindex(integers.shape):
        block, r = divmod(row, 16)
        if bits == 4:
            j, i = divmod(column % 16, 4)
            byte = data[block, group * 256 + 64 * j + 4 * r + i]
            found = (byte >> 4 if column >= 16 else byte & 15) - 8.0
        else:
            j, i = divmod(column, 4)
            found = data[block, group * 512 + 64 * j + 4 * r + i] - 128.0
        assert found == integers[row, group, column]
    for row, group in np.ndindex(scales.shape):
        block, r = divmod(row, 16)
        start = groups * whole + group * 32 + 2 * r
        stored = data[block, start : start + 2].copy().view("<f2")[0]
        assert stored == scales[row, group]
    assert not data[:, groups * (whole + 32) :].any()


@settings(max_examples=40, deadline=None)
@given(**SHAPES)
def test_a_matrix_comes_back_as_it_was_rounded(rows: int, columns: int, bits: int) -> None:
    weight = normal(rows, columns)
    matrix = packed_matrix(weight, bits)
    integers, scales = by_hand(weight, bits)
    expected = (integers * scales[..., None]).reshape(len(integers), -1)[:rows, :columns]
    np.testing.assert_array_equal(unpack(matrix), expected)
    assert (matrix.blocks, matrix.stride) == matrix.data.shape == packed_shape(bits, rows, columns)


@pytest.mark.parametrize(("bits", "bound"), [(8, 0.006), (4, 0.09)])
def test_what_comes_back_is_near_what_went_in(bits: int, bound: float) -> None:
    weight = normal(64, 192)
    found = unpack(packed_matrix(weight, bits))
    assert 0.5 * bound < np.linalg.norm(found - weight) / np.linalg.norm(weight) < bound


@pytest.mark.parametrize("bits", [4, 8])
def test_parts_of_a_matrix_are_packed_as_the_whole(
    monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    weight = normal(100, 70)
    whole = pack(weight, bits)
    monkeypatch.setattr(packed, "WEIGHTS_AT_ONCE", 16 * 70 * 2)
    np.testing.assert_array_equal(pack(weight, bits), whole)


def test_a_packed_matrix_packs_into_itself_in_eight_bits() -> None:
    once = packed_matrix(normal(40, 96), 8)
    np.testing.assert_array_equal(pack(unpack(once), 8), once.data)


def test_eight_bits_go_no_further_than_127() -> None:
    """So near nought float16's scales are so coarse that the largest weight would be -128."""
    weight = np.full((16, 32), -1.49 * 127 * 2.0**-24, np.float32)
    matrix = packed_matrix(weight, 8)
    assert quantize_rows(weight)[0].min() == -128
    assert matrix.data[0, :512].min() == 128 - 127


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (33, 40)])
def test_sixteen_bits_stand_column_by_column(rows: int, columns: int) -> None:
    weight = normal(rows, columns)
    matrix = packed_matrix(weight, 16)
    assert matrix.data.shape == packed_shape(16, rows, columns)
    stored = matrix.data.view("<f2").reshape(matrix.blocks, -1, 16)
    for row, column in np.ndindex(weight.shape):
        assert stored[row // 16, column, row % 16] == np.float16(weight[row, column])
    np.testing.assert_array_equal(unpack(matrix), weight.astype("f2").astype("f4"))


def test_numbers_that_sixteen_bits_cannot_hold_are_refused() -> None:
    with pytest.raises(ModelError, match="16 bits"):
        pack(np.float32([[7e4]]), 16)
