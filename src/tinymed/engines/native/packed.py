"""Matrices in 16, 8 or 4 bits, laid out for the kernel.

A matrix is cut into blocks of 16 rows (the last one filled up with zeros), and each row into
groups of 32 columns (likewise). In 8 and 4 bits a group shares one 16-bit scale, and a block
holds first the integers of all its groups, then their scales:

* 4 bits: 256 bytes a group, four times 64. In the j-th 64, byte 4 r + i holds of row r the
  column 4 j + i in its low half and the column 16 + 4 j + i in its high half, each plus 8.
* 8 bits: 512 bytes a group, eight times 64. In the j-th 64, byte 4 r + i holds of row r the
  column 4 j + i, plus 128; integers are -127 to 127.
* Scales: 16 float16 a group, one a row; the block is filled up to a multiple of 64 bytes.
* 16 bits: no scales; column after column, its 16 rows in float16.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymed.engines.rounding import Array, quantize_rows
from tinymed.errors import ModelError

BLOCK_ROWS = 16
GROUP = 32
ALIGNMENT = 64
"""Bytes: what a block is filled up to, and where a matrix begins in memory."""

WEIGHTS_AT_ONCE = 2**20
"""Weights a thread rounds together, so that what it computes on the way stays in its cache."""

Bytes = npt.NDArray[np.uint8]

WHOLE = 16
"""Bits of a matrix whose numbers stand for themselves."""

_OFFSETS = {4: 8, 8: 128}
_SCALE_BYTES = BLOCK_ROWS * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedMatrix:
    """A matrix as the kernel reads it, and the bias that is added to its products."""

    bits: int
    """4, 8 or 16."""
    rows: int
    columns: int
    data: Bytes
    """Shape (blocks, stride)."""
    bias: Array | None = None
    """Shape (rows,)."""

    @property
    def blocks(self) -> int:
        """Runs of 16 rows."""
        return -(-self.rows // BLOCK_ROWS)

    @property
    def groups(self) -> int:
        """Runs of 32 columns."""
        return -(-self.columns // GROUP)

    @property
    def stride(self) -> int:
        """Bytes a block takes."""
        return packed_shape(self.bits, self.rows, self.columns)[1]


def packed_shape(bits: int, rows: int, columns: int) -> tuple[int, int]:
    """Blocks of a packed matrix, and bytes that each takes.

    >>> packed_shape(4, 17, 33), packed_shape(8, 16, 64), packed_shape(16, 1, 33)
    ((2, 576), (1, 1088), (1, 2048))
    """
    groups = -(-columns // GROUP)
    num_bytes = groups * (_number_bytes(bits) + (0 if bits == WHOLE else _SCALE_BYTES))
    return -(-rows // BLOCK_ROWS), -(-num_bytes // ALIGNMENT) * ALIGNMENT


def pack(weight: Array, bits: int) -> Bytes:
    """Round a matrix of shape (rows, columns) and lay it out: (blocks, stride).

    Raises:
        ModelError: If it holds numbers that 16 bits cannot hold.
    """
    rows, columns = weight.shape
    data = np.zeros(packed_shape(bits, rows, columns), dtype=np.uint8)
    at_once = max(1, WEIGHTS_AT_ONCE // (BLOCK_ROWS * columns))

    def fill(block: int) -> None:
        some = weight[block * BLOCK_ROWS : (block + at_once) * BLOCK_ROWS]
        packed = _packed_blocks(some, bits)
        data[block : block + at_once, : packed.shape[1]] = packed

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(fill, range(0, len(data), at_once)):
            pass
    return data


def unpack(matrix: PackedMatrix) -> Array:
    """The weights that a packed matrix stands for, shape (rows, columns)."""
    if matrix.bits == WHOLE:
        weight = unpack_whole_blocks(matrix, 0, matrix.blocks)
    else:
        integers, scales = unpack_blocks(matrix, 0, matrix.blocks)
        weight = (integers * scales[..., None]).reshape(len(integers), -1)
    return np.ascontiguousarray(weight[: matrix.rows, : matrix.columns])


def unpack_blocks(matrix: PackedMatrix, start: int, stop: int) -> tuple[Array, Array]:
    """Integers and scales of some blocks, filled up to whole blocks and groups.

    Returns:
        Integers of shape (rows, groups, 32) and scales of shape (rows, groups), in float32.
    """
    data = matrix.data[start:stop]
    blocks, groups = len(data), matrix.groups
    end = groups * _number_bytes(matrix.bits)
    # From block, group, j, row, i to block, row, group, j, i.
    quads = data[:, :end].reshape(blocks, groups, -1, BLOCK_ROWS, 4).transpose(0, 3, 1, 2, 4)
    offset = np.float32(_OFFSETS[matrix.bits])
    integers = np.empty((blocks * BLOCK_ROWS, groups, GROUP), np.float32)
    shaped = integers.reshape(blocks, BLOCK_ROWS, groups, -1, 4)
    if matrix.bits == 4:  # noqa: PLR2004
        shaped[..., :4, :] = quads & 15
        shaped[..., 4:, :] = quads >> 4
    else:
        shaped[...] = quads
    integers -= offset
    stored = np.ascontiguousarray(data[:, end : end + groups * _SCALE_BYTES]).view("<f2")
    scales = stored.reshape(blocks, groups, BLOCK_ROWS).transpose(0, 2, 1).astype(np.float32)
    return integers, np.ascontiguousarray(scales).reshape(-1, groups)


def unpack_whole_blocks(matrix: PackedMatrix, start: int, stop: int) -> Array:
    """Rows of some blocks of a matrix in 16 bits, filled up: (rows, groups * 32), in float32."""
    columns = matrix.data[start:stop].view("<f2").reshape(-1, matrix.groups * GROUP, BLOCK_ROWS)
    return columns.swapaxes(1, 2).reshape(-1, matrix.groups * GROUP).astype(np.float32)


def _packed_blocks(weight: Array, bits: int) -> Bytes:
    """Some whole blocks (the last may be cut short), without what fills them up to 64 bytes."""
    rows, columns = weight.shape
    blocks, groups = -(-rows // BLOCK_ROWS), -(-columns // GROUP)
    filled = np.zeros((blocks * BLOCK_ROWS, groups * GROUP), dtype=np.float32)
    filled[:rows, :columns] = weight
    if bits == WHOLE:
        by_column = filled.reshape(blocks, BLOCK_ROWS, -1).swapaxes(1, 2)
        return _in_sixteen_bits(by_column).view(np.uint8).reshape(blocks, -1)
    integers, scales = quantize_rows(filled.reshape(-1, GROUP), bits=bits)
    if bits == 8:  # noqa: PLR2004
        # Scales so small that float16 rounds them far down would make it -128.
        integers = np.maximum(integers, np.int8(-127))
    unsigned = (integers.astype(np.int16) + _OFFSETS[bits]).astype(np.uint8)
    quads = unsigned.reshape(blocks, BLOCK_ROWS, groups, -1, 4)
    if bits == 4:  # noqa: PLR2004
        quads = quads[..., :4, :] | np.left_shift(quads[..., 4:, :], np.uint8(4))
    of_scales = scales.astype("<f2").reshape(blocks, BLOCK_ROWS, groups).transpose(0, 2, 1)
    return np.concatenate(
        [
            # From block, row, group, j, i to block, group, j, row, i.
            quads.transpose(0, 2, 3, 1, 4).reshape(blocks, -1),
            np.ascontiguousarray(of_scales).view(np.uint8).reshape(blocks, -1),
        ],
        axis=1,
    )


def _in_sixteen_bits(values: Array) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):
        narrow = np.ascontiguousarray(values, dtype="<f2")
    if not np.isfinite(narrow).all():
        raise ModelError("A matrix that stays in 16 bits holds numbers that do not fit there.")
    return narrow


def _number_bytes(bits: int) -> int:
    """What a group's numbers take in a block, without scales."""
    return BLOCK_ROWS * GROUP * bits // 8
