"""The operations a language model and a vision transformer are made of.

Two implementations compute them: `plain` in NumPy, for any computer, and `kernel` in C. Both
read the same packed matrices; what is made of these operations does not know which one runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tinymed.engines.native.packed import PackedMatrix

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Places = npt.NDArray[np.int32]

PART = 64
"""A cache has room for whole runs of so many tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """How a joint query, key and value row is cut: (queries + 2 × keys) × size numbers."""

    num_heads: int
    num_kv_heads: int
    size: int

    @property
    def padded_size(self) -> int:
        """What a value takes in the cache: a multiple of 16."""
        return -(-self.size // 16) * 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Cache:
    """Keys and values of one layer: some rows of texts, each with the same room."""

    keys: Halves
    """Shape (rows, kv heads, parts, size, 64): a column a token, 64 of them a part, so that a
    part is one piece of memory."""
    values: Halves
    """Shape (rows, kv heads, room, padded size); room is 64 a part, the padding is zero."""

    @classmethod
    def empty(cls, heads: Heads, *, rows: int, tokens: int) -> Cache:
        """A cache with room for so many tokens in each of its rows."""
        parts = -(-tokens // PART)
        # Zeros, because attention reads whole runs of places; untouched ones take no memory.
        return cls(
            keys=np.zeros((rows, heads.num_kv_heads, parts, heads.size, PART), np.float16),
            values=np.zeros(
                (rows, heads.num_kv_heads, parts * PART, heads.padded_size), np.float16
            ),
        )

    @property
    def room(self) -> int:
        """Tokens that each row has room for."""
        return int(self.values.shape[2])

    def put(self, row: int, other: Cache, other_row: int) -> None:
        """Copy a row of a cache that has no more room to the beginning of one of these."""
        parts = other.room // PART
        self.keys[row, :, :parts] = other.keys[other_row]
        self.values[row, :, : other.room] = other.values[other_row]

    def taken(self, rows: list[int]) -> Cache:
        """A copy of some rows; one that is named twice stands in it twice."""
        return Cache(keys=self.keys[rows], values=self.values[rows])

    def keys_of(self, row: int, length: int) -> Halves:
        """A row's first keys, shape (kv heads, size, length); a copy."""
        _, kv_heads, _, size, _ = self.keys.shape
        columns: Halves = self.keys[row].swapaxes(1, 2).reshape(kv_heads, size, -1)
        return columns[:, :, :length]


class Ops(Protocol):
    """Arrays are C-contiguous and in float32 where nothing else is said."""

    name: str
    """"kernel" or "plain"."""
    num_threads: int

    def linear(self, values: Floats, matrix: PackedMatrix, out: Floats, *, add: bool) -> None:
        """`out = values @ matrix.T + matrix.bias`, or `out +=` that.

        Each 32 of a row's values are rounded to 8 bits with a scale of their own, in both
        implementations: to the nearest of x × (127 / max|x|), even on a tie; the scale is
        max|x| / 127, and 0 where max|x| is below 1e-36. Products are summed in integers
        within a group, and in float32, with one rounding a group, over the groups in order.
        Beside a matrix of 16 bits nothing is rounded, and all is summed in float32.

        Args:
            values: Shape (tokens, columns).
            matrix: Of `rows` rows and `columns` columns.
            out: Shape (tokens, rows).
            add: Whether to add to what `out` holds.
        """
        ...

    def rms_norm(self, values: Floats, weight: Floats, epsilon: float, out: Floats) -> None:
        """Root mean square norm of each row; shapes (tokens, width), (width,)."""
        ...

    def layer_norm(
        self, values: Floats, weight: Floats, bias: Floats, epsilon: float, out: Floats
    ) -> None:
        """Layer norm of each row; shapes (tokens, width), (width,). `out` may be `values`."""
        ...

    def gate(self, values: Floats, out: Floats) -> None:
        """SwiGLU: `silu(first half) * second half` of each row; (tokens, 2n) to (tokens, n)."""
        ...

    def activate(self, values: Floats, name: str) -> None:
        """An activation in place: "quick_gelu", "gelu" (erf) or "gelu_tanh"."""
        ...

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
        """Put the keys and values of new tokens into a cache; rotates keys and queries first.

        Args:
            joint: Shape (tokens, (heads + 2 × kv heads) × size): queries, keys, values. Queries
                and keys are rotated in place where `turns` is given.
            heads: How it is cut.
            cache: Where keys and values go, in 16 bits.
            rows: Shape (tokens,); the cache's row of each token.
            places: Shape (tokens,); its place in that row, from 0.
            turns: Cosines and sines, each of shape (tokens, size / 2): the first half of a head
                is turned against the second, as in transformers. None for no rotation.
        """
        ...

    def attend(  # noqa: PLR0913 (what attention is made of)
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
        """Attention of each token over what all rows share and over its own row, up to itself.

        Args:
            joint: As `store` left it; only the queries are read. Scores are divided by the
                square root of the head's size.
            heads: How it is cut.
            own: The cache that holds the tokens' rows.
            out: Shape (tokens, heads × size).
            rows: Shape (tokens,); ascending, so that a row's tokens stand together.
            visible: Shape (tokens,); of its own row each token sees so many first places.
            shared: A cache of one row, whose first `num_shared` places all tokens see.
            num_shared: 0 where `shared` is None.
        """
        ...
