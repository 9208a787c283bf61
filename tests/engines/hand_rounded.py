"""Matrices to round, and what they are once rounded."""

from __future__ import annotations

import numpy as np

from tinymed.engines.rounding import Array, quantize_rows


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def error(kept: Array, weight: Array) -> float:
    return float(np.linalg.norm(kept - weight) / np.linalg.norm(weight))


def by_hand(weight: Array, bits: int, group: int) -> Array:
    values, scale = quantize_rows(weight.reshape(-1, group), bits=bits)
    return (values * scale).reshape(weight.shape)
