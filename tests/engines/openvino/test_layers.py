from __future__ import annotations

from typing import cast

import numpy as np
import openvino as ov
import pytest
from hand_rounded import by_hand, error, normal
from openvino import opset13 as opset

from tinymed.engines.openvino.layers import Array, Precision, Store
from tinymed.engines.rounding import group_size

WIDTH = 192


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
