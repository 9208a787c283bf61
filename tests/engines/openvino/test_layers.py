from __future__ import annotations

from typing import cast

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as opset

from tinymed.engines.openvino import layers
from tinymed.engines.openvino.layers import (
    GROUP_SIZES,
    Array,
    Precision,
    Store,
    group_size,
    quantize_rows,
)

WIDTH = 192


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def stored(weight: Array, store: Store, name: str = "layers.0.mlp.down_proj") -> Array:
    """A matrix as the plugin reads it: its product with the identity, in float32."""
    values = opset.parameter([-1, weight.shape[1]], np.float32)
    model = ov.Model([opset.result(store.linear(values, weight, name))], [values], "product")
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "INFERENCE_NUM_THREADS": 1,
    }
    compiled = ov.Core().compile_model(model, "CPU", settings)
    product: Array = compiled(np.eye(weight.shape[1], dtype=np.float32))[0]
    return np.ascontiguousarray(product.T)


def error(kept: Array, weight: Array) -> float:
    return float(np.linalg.norm(kept - weight) / np.linalg.norm(weight))


def by_hand(weight: Array, bits: int, group: int) -> Array:
    values, scale = quantize_rows(weight.reshape(-1, group), bits=bits)
    return (values * scale).reshape(weight.shape)


@pytest.mark.parametrize(("precision", "bits"), [("int8", 8), ("int4", 4)])
@pytest.mark.parametrize("width", [WIDTH, 50])
def test_the_plugin_reads_the_integers_that_were_stored(
    precision: str, bits: int, width: int
) -> None:
    """A 4-bit constant once shared its memory with an array that was gone by then: noise."""
    weight = normal(40, width)
    kept = stored(weight, Store(cast("Precision", precision)))
    np.testing.assert_allclose(
        kept, by_hand(weight, bits, group_size(width, precision)), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(("bits", "bound"), [(8, 0.006), (4, 0.1)])
def test_groups_leave_a_smaller_error_than_rows(bits: int, bound: float) -> None:
    weight = normal(64, WIDTH)
    group = GROUP_SIZES[f"int{bits}"]
    in_groups = error(by_hand(weight, bits, group), weight)
    assert in_groups < bound
    assert in_groups < 0.93 * error(by_hand(weight, bits, WIDTH), weight)


def test_a_four_bit_scale_leaves_a_smaller_error_than_the_largest_weight_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = normal(400, 64)
    chosen = error(by_hand(weight, 4, 64), weight)
    monkeypatch.setattr(layers, "CLIPPINGS", (8.0,))
    whole_range = error(by_hand(weight, 4, 64), weight)
    top = np.abs(weight).max(axis=1, keepdims=True) / 7
    symmetric = error(np.rint(weight / top) * top, weight)
    assert chosen < 0.97 * whole_range
    assert whole_range < 0.95 * symmetric


def test_no_other_clipping_of_those_tried_would_do_better_in_any_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = normal(300, 64)
    squared = np.square(by_hand(weight, 4, 64) - weight).sum(axis=1)
    for steps in layers.CLIPPINGS:
        monkeypatch.setattr(layers, "CLIPPINGS", (steps,))
        other = np.square(by_hand(weight, 4, 64) - weight).sum(axis=1)
        assert (squared <= other + 1e-7).all()


def test_chunks_give_the_same_integers_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = normal(100, 64)
    whole = quantize_rows(weight, bits=4)
    monkeypatch.setattr(layers, "GROUPS_AT_ONCE", 7)
    for one, two in zip(whole, quantize_rows(weight, bits=4), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_matrix_that_came_in_eight_bits_stays_as_it_was() -> None:
    """GGUF's Q8_0: 32 integers with the largest at 127 or -127, and a float16 scale."""
    rng = np.random.default_rng(1)
    integers = rng.integers(-126, 127, (60, 32))
    integers[:, 5] = 127
    scale = rng.uniform(1e-3, 1e-2, (60, 1)).astype(np.float16).astype(np.float32)
    weight = (integers * scale).astype(np.float32).reshape(20, 96)
    np.testing.assert_array_equal(by_hand(weight, 8, 32), weight)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_row_of_noughts_or_of_next_to_nothing_stays_so(bits: int) -> None:
    weight = np.array([[0.0] * 64, [1e-9] * 64], dtype=np.float32)
    values, scale = quantize_rows(weight, bits=bits)
    assert np.isfinite(scale).all()
    assert (np.abs(values * scale - weight) < 1e-7).all()


def test_kept_matrices_have_their_own_precision_and_are_named() -> None:
    weight = normal(64, WIDTH)
    store = Store("int8", keep={"down_proj": "f16"})
    down = stored(weight, store, "layers.0.mlp.down_proj")
    up = stored(weight, store, "layers.0.mlp.up_proj")
    assert store.kept == ["layers.0.mlp.down_proj"]
    assert error(down, weight) < 5e-4 < error(up, weight)
    assert store.num_bytes == weight.size * 2 + weight.size + weight.size // 32 * 2


@pytest.mark.parametrize(("precision", "bits"), [("int8", 8.5), ("int4", 4.25)])
def test_bits_a_weight_count_the_scales(precision: str, bits: float) -> None:
    store = Store(cast("Precision", precision))
    store.weight(normal(64, WIDTH), "o_proj")
    assert 8 * store.num_bytes / store.num_weights == bits


def test_sixteen_bits_are_marked_to_stay_so_in_memory() -> None:
    """Unmarked, the plugin widened them at load: 200 MiB more in `nano`."""
    weight = normal(8, WIDTH)
    node = Store("f16").weight(weight, "o_proj").get_node()
    assert "decompression_0" in node.get_rt_info()
    np.testing.assert_array_equal(node.input_value(0).get_node().data, weight.astype(np.float16))


def test_a_matrix_that_sixteen_bits_cannot_hold_stays_in_thirty_two() -> None:
    weight = np.full((8, WIDTH), 1e6, np.float32)
    store = Store("f16")
    np.testing.assert_array_equal(stored(weight, store), weight)
    assert store.num_bytes == weight.size * 4
