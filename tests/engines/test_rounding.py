from __future__ import annotations

import numpy as np
import pytest
from hand_rounded import by_hand, error, normal

from tinymed.engines import rounding
from tinymed.engines.rounding import GROUP_SIZES, quantize_rows

WIDTH = 192


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
    monkeypatch.setattr(rounding, "CLIPPINGS", (8.0,))
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
    for steps in rounding.CLIPPINGS:
        monkeypatch.setattr(rounding, "CLIPPINGS", (steps,))
        other = np.square(by_hand(weight, 4, 64) - weight).sum(axis=1)
        assert (squared <= other + 1e-7).all()


def test_chunks_give_the_same_integers_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = normal(100, 64)
    whole = quantize_rows(weight, bits=4)
    monkeypatch.setattr(rounding, "GROUPS_AT_ONCE", 7)
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
