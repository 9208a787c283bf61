"""The operations in NumPy: for processors or systems that the kernel is not there for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from tinymed.engines.native.ops import PART, Cache, Floats, Heads, Places
from tinymed.engines.native.packed import (
    BLOCK_ROWS,
    GROUP,
    WHOLE,
    PackedMatrix,
    unpack_blocks,
    unpack_whole_blocks,
)

SMALLEST = np.float32(1e-36)
"""Values whose largest is below count as nought: 127 divided by it would be infinite."""

WEIGHTS_AT_ONCE = 2**21
"""Weights of a matrix that are unpacked together: 8 MiB."""


class PlainOps:
    """Fulfils the Ops protocol."""

    name = "plain"

    def __init__(self, num_threads: int) -> None:
        """Compute products with so many threads."""
        self.num_threads = num_threads
        self._threads = ThreadPoolExecutor(num_threads)

    def linear(self, values: Floats, matrix: PackedMatrix, out: Floats, *, add: bool) -> None:
        """`out = values @ matrix.T + matrix.bias`, or `out +=` that."""
        is_whole = matrix.bits == WHOLE
        if not is_whole:
            rounded, scales = _round_activations(values, matrix.groups)
        at_once = max(1, WEIGHTS_AT_ONCE // (BLOCK_ROWS * GROUP * matrix.groups))

        def multiply(block: int) -> None:
            start, stop = block * BLOCK_ROWS, min((block + at_once) * BLOCK_ROWS, matrix.rows)
            if is_whole:
                whole = unpack_whole_blocks(matrix, block, block + at_once)
                whole = whole[: stop - start, : matrix.columns]
                # Not `@`: its sums have another order for another number of tokens.
                product = np.einsum("tc,rc->tr", values, whole)
            else:
                weights, steps = unpack_blocks(matrix, block, block + at_once)
                product = _sum_over_groups(rounded, scales, weights[: stop - start], steps)
            if matrix.bias is not None:
                product += matrix.bias[start:stop]
            if add:
                product += out[:, start:stop]
            out[:, start:stop] = product

        for _ in self._threads.map(multiply, range(0, matrix.blocks, at_once)):
            pass

    def rms_norm(self, values: Floats, weight: Floats, epsilon: float, out: Floats) -> None:
        """Root mean square norm of each row; shapes (tokens, width), (width,)."""
        mean = np.square(values).mean(axis=1, keepdims=True)
        np.multiply(values / np.sqrt(mean + np.float32(epsilon)), weight, out=out)

    def layer_norm(
        self, values: Floats, weight: Floats, bias: Floats, epsilon: float, out: Floats
    ) -> None:
        """Layer norm of each row; shapes (tokens, width), (width,). `out` may be `values`."""
        centred = values - values.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        centred /= np.sqrt(variance + np.float32(epsilon))
        np.add(centred * weight, bias, out=out)

    def gate(self, values: Floats, out: Floats) -> None:
        """SwiGLU: `silu(first half) * second half` of each row; (tokens, 2n) to (tokens, n)."""
        middle = values.shape[1] // 2
        first, second = values[:, :middle], values[:, middle:]
        np.multiply(first * _sigmoid(first), second, out=out)

    def activate(self, values: Floats, name: str) -> None:
        """An activation in place: "quick_gelu", "gelu" (erf) or "gelu_tanh"."""
        if name == "quick_gelu":
            values *= _sigmoid(np.float32(1.702) * values)
        elif name == "gelu":
            values *= np.float32(0.5) * (1 + _erf(values / np.float32(np.sqrt(2))))
        else:
            assert name == "gelu_tanh", name
            inner = values + np.float32(0.044715) * values * values * values
            values *= np.float32(0.5) * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * inner))

    def store(
        self,
        joint: Floats,
        heads: Heads,
        cache: Cache,
        *,
        rows: Places,
        places: Places,
        turns: tuple[Floats, Floats] | None,
    ) -> None:
        """Put the keys and values of new tokens into a cache; rotates keys and queries first."""
        split = joint.reshape(len(joint), -1, heads.size)
        num_turned = heads.num_heads + heads.num_kv_heads
        if turns is not None:
            _rotate(split[:, :num_turned], *turns)
        cache.keys[rows, :, places // PART, :, places % PART] = split[
            :, heads.num_heads : num_turned
        ]
        cache.values[rows, :, places, : heads.size] = split[:, num_turned:]

    def attend(  # noqa: PLR0913 (the protocol's)
        self,
        joint: Floats,
        heads: Heads,
        own: Cache,
        out: Floats,
        *,
        rows: Places,
        visible: Places,
        shared: Cache | None,
        num_shared: int,
    ) -> None:
        """Attention of each token over what all rows share and over its own row."""
        shape = (len(joint), heads.num_kv_heads, -1, heads.size)
        queries = joint[:, : heads.num_heads * heads.size].reshape(shape)
        queries = queries * np.float32(heads.size**-0.5)
        mixed = out.reshape(shape)
        for together in _runs(rows):
            longest = int(visible[together].max())
            keys, values = _of_row(own, int(rows[together.start]), longest)
            if shared is not None:
                before = _of_row(shared, 0, num_shared)
                keys = np.concatenate([before[0], keys], axis=2)
                values = np.concatenate([before[1], values], axis=1)
            # Token by token: sums of another length would have another order.
            for token in range(together.start, together.stop):
                seen = num_shared + int(visible[token])
                scores = _softmax(queries[token] @ keys[:, :, :seen])
                mixed[token] = scores @ values[:, :seen, : heads.size]


def _round_activations(values: Floats, groups: int) -> tuple[Floats, Floats]:
    """Integers of shape (groups, tokens, 32) and scales of shape (groups, tokens, 1)."""
    tokens, columns = values.shape
    filled = np.zeros((tokens, groups * GROUP), np.float32)
    filled[:, :columns] = values
    grouped = filled.reshape(tokens, groups, GROUP).transpose(1, 0, 2)
    largest = np.abs(grouped).max(axis=2, keepdims=True)
    is_nought = largest < SMALLEST
    steps = np.where(is_nought, 0, np.float32(127) / np.where(is_nought, 1, largest))
    scales = np.where(is_nought, 0, largest / np.float32(127))
    return np.rint(grouped * steps.astype(np.float32)), scales.astype(np.float32)


def _sum_over_groups(rounded: Floats, scales: Floats, weights: Floats, steps: Floats) -> Floats:
    """Products of shape (tokens, rows), summed over the groups in order.

    Args:
        rounded: Integers of shape (groups, tokens, 32).
        scales: Shape (groups, tokens, 1).
        weights: Integers of shape (rows, groups, 32).
        steps: Shape (rows or more, groups).
    """
    num_rows = len(weights)
    total = np.zeros((rounded.shape[1], num_rows), np.float32)
    product = np.empty_like(total)
    for group, (values, scale) in enumerate(zip(rounded, scales, strict=True)):
        # Whole numbers below 2**24: exact in float32, in whatever order they are added.
        np.matmul(values, weights[:, group].T, out=product)
        product *= scale * steps[:num_rows, group]
        total += product
    return total


def _rotate(split: Floats, cosines: Floats, sines: Floats) -> None:
    """Turn the first half of each head against the second, in place; (tokens, heads, size)."""
    half = split.shape[2] // 2
    cosines, sines = cosines[:, None], sines[:, None]
    first, second = split[:, :, :half].copy(), split[:, :, half:].copy()
    split[:, :, :half] = first * cosines - second * sines
    split[:, :, half:] = second * cosines + first * sines


def _runs(rows: Places) -> Iterator[slice]:
    """Where tokens of one row stand together."""
    starts = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), len(rows)]
    for start, stop in pairwise(starts):
        yield slice(start, stop)


def _of_row(cache: Cache, row: int, length: int) -> tuple[Floats, Floats]:
    """Keys, (heads, size, tokens), and values, (heads, tokens, size), of a row's beginning."""
    keys, values = cache.keys_of(row, length), cache.values[row, :, :length]
    return keys.astype(np.float32), values.astype(np.float32)


def _softmax(scores: Floats) -> Floats:
    powers: Floats = np.exp(scores - scores.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def _sigmoid(values: Floats) -> Floats:
    # Nothing overflows on the way, unlike in 1 / (1 + exp(-x)).
    result: Floats = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * values))
    return result


def _erf(values: Floats) -> Floats:
    """The error function to 1.5e-7.

    Source:
        Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 7.1.26.
    """
    size = np.abs(values)
    t = 1 / (1 + np.float32(0.3275911) * size)
    tail = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail = (tail + np.float32(factor)) * t
    result: Floats = np.copysign(1 - tail * np.exp(-size * size), values)
    return result
