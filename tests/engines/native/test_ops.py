"""Every implementation of the operations against their definition in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tinymed.engines.native.ops import Cache, Floats, Heads, Ops
from tinymed.engines.native.packed import PackedMatrix, pack, unpack

Exact = npt.NDArray[np.float64]


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.normal(0, 1, shape).astype(np.float32)


def packed(
    rng: np.random.Generator, rows: int, columns: int, bits: int, *, bias: bool = False
) -> PackedMatrix:
    return PackedMatrix(
        bits=bits,
        rows=rows,
        columns=columns,
        data=pack(normal(rng, rows, columns) / 8, bits),
        bias=normal(rng, rows) if bias else None,
    )


def rounded(values: Floats) -> Exact:
    """What a product reads in place of `values`: 8 bits for each 32 of them."""
    tokens, columns = values.shape
    filled = np.zeros((tokens, -(-columns // 32), 32), np.float32)
    filled.reshape(tokens, -1)[:, :columns] = values
    largest = np.abs(filled).max(axis=2, keepdims=True)
    steps = np.rint(filled * (np.float32(127) / np.where(largest > 0, largest, 1)))
    scale = (largest / np.float32(127)).astype(np.float64)
    return (steps * scale).reshape(tokens, -1)[:, :columns]


def assert_near(found: Floats, expected: Exact, bound: float = 2e-6) -> None:
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= bound * np.abs(expected).max()


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("tokens", [1, 2, 3, 5, 8, 33])
@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (50, 72), (7, 20), (130, 448)])
def test_a_product_is_that_of_rounded_values_and_unpacked_weights(
    ops: Ops, rng: np.random.Generator, bits: int, tokens: int, rows: int, columns: int
) -> None:
    matrix = packed(rng, rows, columns, bits)
    values = normal(rng, tokens, columns)
    out = np.full((tokens, rows), np.nan, np.float32)
    ops.linear(values, matrix, out, add=False)
    read = values.astype(np.float64) if bits == 16 else rounded(values)
    assert_near(out, read @ unpack(matrix).T.astype(np.float64))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_product_takes_a_bias_and_may_be_added(
    ops: Ops, rng: np.random.Generator, bits: int, *, has_bias: bool
) -> None:
    matrix = packed(rng, 40, 96, bits, bias=has_bias)
    values, before = normal(rng, 3, 96), normal(rng, 3, 40)
    expected = rounded(values) @ unpack(matrix).T.astype(np.float64)
    if matrix.bias is not None:
        expected += matrix.bias
    out = before.copy()
    ops.linear(values, matrix, out, add=False)
    assert_near(out, expected)
    out = before.copy()
    ops.linear(values, matrix, out, add=True)
    assert_near(out, expected + before)


def test_values_of_any_size_are_multiplied(ops: Ops, rng: np.random.Generator) -> None:
    matrix = packed(rng, 20, 96, 8)
    values = normal(rng, 4, 96) * np.float32([[1e-30], [0], [1], [1e20]])
    out = np.empty((4, 20), np.float32)
    ops.linear(values, matrix, out, add=False)
    expected = rounded(values) @ unpack(matrix).T.astype(np.float64)
    for row, exact in zip(out, expected, strict=True):
        assert_near(row, exact)
    assert not out[1].any()


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_a_token_is_multiplied_as_it_is_alone(
    ops: Ops, rng: np.random.Generator, bits: int
) -> None:
    matrix = packed(rng, 50, 96, bits)
    values = normal(rng, 9, 96)
    together, alone = np.empty((9, 50), np.float32), np.empty((1, 50), np.float32)
    ops.linear(values, matrix, together, add=False)
    for token in range(9):
        ops.linear(values[token : token + 1], matrix, alone, add=False)
        np.testing.assert_array_equal(together[token], alone[0])


@pytest.mark.parametrize("width", [32, 72, 100])
def test_a_root_mean_square_norm(ops: Ops, rng: np.random.Generator, width: int) -> None:
    values, weight = normal(rng, 5, width), normal(rng, width)
    out = np.empty_like(values)
    ops.rms_norm(values, weight, 1e-2, out)
    exact = values.astype(np.float64)
    assert_near(out, exact / np.sqrt((exact**2).mean(axis=1, keepdims=True) + 1e-2) * weight)


@pytest.mark.parametrize("width", [32, 72, 100])
def test_a_layer_norm_also_in_place(ops: Ops, rng: np.random.Generator, width: int) -> None:
    values, weight, bias = normal(rng, 5, width) + 3, normal(rng, width), normal(rng, width)
    exact = values.astype(np.float64)
    centred = exact - exact.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-2) * weight + bias
    out = np.empty_like(values)
    ops.layer_norm(values, weight, bias, 1e-2, out)
    assert_near(out, expected)
    ops.layer_norm(values, weight, bias, 1e-2, values)
    np.testing.assert_array_equal(values, out)


def test_the_first_half_opens_for_the_second(ops: Ops, rng: np.random.Generator) -> None:
    values = normal(rng, 4, 2 * 50) * np.float32(5)
    values[0, :3] = [-200, 200, 0]
    out = np.empty((4, 50), np.float32)
    ops.gate(values, out)
    first, second = values[:, :50].astype(np.float64), values[:, 50:]
    assert_near(out, first / (1 + np.exp(-first)) * second)


FORMULAS: dict[str, Any] = {
    "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
    "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation(ops: Ops, name: str) -> None:
    values = np.linspace(-12, 12, 4 * 101, dtype=np.float32).reshape(4, 101)
    expected = np.vectorize(FORMULAS[name])(values.astype(np.float64))
    ops.activate(values, name)
    assert np.abs(values - expected).max() < 2e-6


def turns(rng: np.random.Generator, tokens: int, size: int) -> tuple[Floats, Floats]:
    angle = rng.uniform(0, 6, (tokens, size // 2))
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def turned(values: Exact, turn: tuple[Floats, Floats]) -> Exact:
    """Heads of shape (tokens, heads, size), the first half against the second."""
    first, second = np.split(values, 2, axis=2)
    cos, sin = (table[:, None] for table in turn)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=2)


@pytest.mark.parametrize("size", [16, 64, 72])
@pytest.mark.parametrize("is_turned", [False, True])
def test_keys_and_values_are_stored_a_column_and_a_row_a_token(
    ops: Ops, rng: np.random.Generator, size: int, *, is_turned: bool
) -> None:
    heads = Heads(num_heads=4, num_kv_heads=2, size=size)
    cache = Cache.empty(heads, rows=3, tokens=40)
    rows, places = np.int32([0, 0, 2, 2, 2]), np.int32([7, 8, 0, 1, 39])
    joint = normal(rng, 5, 8 * size)
    exact = joint.reshape(5, 8, size).astype(np.float64)
    turn = turns(rng, 5, size) if is_turned else None
    if turn is not None:
        exact[:, :6] = turned(exact[:, :6], turn)
    ops.store(joint, heads, cache, rows=rows, places=places, turns=turn)
    assert cache.keys.shape == (3, 2, 1, size, 64)
    assert cache.values.shape == (3, 2, 64, -(-size // 16) * 16)
    np.testing.assert_allclose(joint.reshape(5, 8, size), exact, atol=1e-6)
    for token, (row, place) in enumerate(zip(rows, places, strict=True)):
        keys, values = cache.keys[row, :, 0, :, place], cache.values[row, :, place, :size]
        np.testing.assert_allclose(keys, exact[token, 4:6], rtol=6e-4, atol=1e-6)
        np.testing.assert_array_equal(values, exact[token, 6:].astype(np.float16))
    cache.keys[rows, :, 0, :, places] = 0
    cache.values[rows, :, places, :size] = 0
    assert not cache.keys.any()
    assert not cache.values.any()


def attended(query: Exact, keys: Exact, values: Exact) -> Exact:
    """One token's query (size,) over keys and values (tokens, size)."""
    scores = keys @ query / math.sqrt(len(query))
    weights = np.exp(scores - scores.max())
    mixed: Exact = weights @ values / weights.sum()
    return mixed


def filled(rng: np.random.Generator, heads: Heads, rows: int, tokens: int) -> Cache:
    """A cache in which every place holds something."""
    cache = Cache.empty(heads, rows=rows, tokens=tokens)
    cache.keys[:] = rng.normal(0, 1, cache.keys.shape)
    cache.values[..., : heads.size] = rng.normal(0, 1, (*cache.values.shape[:3], heads.size))
    return cache


@pytest.mark.parametrize("heads", [(4, 2, 16), (3, 3, 72), (8, 1, 64)], ids=str)
@pytest.mark.parametrize("num_shared", [0, 1, 37, 64])
@pytest.mark.parametrize("tokens", [1, 23])
def test_a_token_sees_what_is_shared_and_its_row_up_to_itself(
    ops: Ops,
    rng: np.random.Generator,
    heads: tuple[int, int, int],
    num_shared: int,
    tokens: int,
) -> None:
    num_heads, num_kv_heads, size = heads
    cut = Heads(num_heads=num_heads, num_kv_heads=num_kv_heads, size=size)
    own = filled(rng, cut, 3, 50)
    shared = filled(rng, cut, 1, 70) if num_shared else None
    rows = np.sort(rng.integers(0, 3, tokens)).astype(np.int32)
    visible = rng.integers(1, 51, tokens).astype(np.int32)
    joint = normal(rng, tokens, (num_heads + 2 * num_kv_heads) * size)
    out = np.full((tokens, num_heads * size), np.nan, np.float32)
    ops.attend(
        joint, cut, own, out, rows=rows, visible=visible, shared=shared, num_shared=num_shared
    )
    for token, head in np.ndindex(tokens, num_heads):
        kept, row, seen = head // (num_heads // num_kv_heads), rows[token], visible[token]
        keys = [own.keys_of(row, seen)[kept].T]
        values = [own.values[row, kept, :seen, :size]]
        if shared is not None:
            keys.insert(0, shared.keys_of(0, num_shared)[kept].T)
            values.insert(0, shared.values[0, kept, :num_shared, :size])
        expected = attended(
            joint[token, head * size : (head + 1) * size].astype(np.float64),
            np.concatenate(keys).astype(np.float64),
            np.concatenate(values).astype(np.float64),
        )
        found = out[token, head * size : (head + 1) * size]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_token_attends_as_it_does_alone(ops: Ops, rng: np.random.Generator) -> None:
    """Else answers would depend on what else is asked, once they are rounded to 8 bits."""
    heads = Heads(num_heads=4, num_kv_heads=2, size=24)
    own, shared = filled(rng, heads, 3, 80), filled(rng, heads, 1, 45)
    rows, visible = np.int32([0, 0, 1, 1, 2]), np.int32([3, 4, 40, 80, 33])
    joint = normal(rng, 5, 8 * 24)
    together, alone = np.empty((5, 96), np.float32), np.empty((1, 96), np.float32)
    common: dict[str, Any] = {"shared": shared, "num_shared": 45}
    ops.attend(joint, heads, own, together, rows=rows, visible=visible, **common)
    for token in range(5):
        only = slice(token, token + 1)
        where = {"rows": rows[only], "visible": visible[only]}
        ops.attend(joint[only], heads, own, alone, **where, **common)
        np.testing.assert_array_equal(together[token], alone[0])


def test_scores_as_large_as_they_come_leave_numbers(ops: Ops, rng: np.random.Generator) -> None:
    heads = Heads(num_heads=2, num_kv_heads=2, size=16)
    own = filled(rng, heads, 1, 40)
    own.keys[:] *= np.float16(1000)
    joint = normal(rng, 1, 6 * 16) * np.float32(1000)
    out = np.empty((1, 32), np.float32)
    where = {"rows": np.int32([0]), "visible": np.int32([40])}
    ops.attend(joint, heads, own, out, **where, shared=None, num_shared=0)
    assert np.isfinite(out).all()
    largest = np.argmax(own.keys_of(0, 40)[0].astype(np.float64).T @ joint[0, :16])
    np.testing.assert_allclose(out[0, :16], own.values[0, 0, largest], rtol=1e-3)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_number(
    ops: Ops, with_threads: Callable[[int], Ops], rng: np.random.Generator, threads: int
) -> None:
    more = with_threads(threads)
    matrix = packed(rng, 500, 320, 4, bias=True)
    values = normal(rng, 6, 320)
    one, other = np.empty((6, 500), np.float32), np.empty((6, 500), np.float32)
    ops.linear(values, matrix, one, add=False)
    more.linear(values, matrix, other, add=False)
    np.testing.assert_array_equal(one, other)
    heads = Heads(num_heads=4, num_kv_heads=2, size=40)
    own, out = filled(rng, heads, 1, 60), [np.empty((6, 160), np.float32) for _ in range(2)]
    for each, into in zip((ops, more), out, strict=True):
        where = {"rows": np.zeros(6, np.int32), "visible": np.arange(50, 56, dtype=np.int32)}
        each.attend(values, heads, own, into, **where, shared=None, num_shared=0)
    np.testing.assert_array_equal(*out)
