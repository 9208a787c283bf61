"""A GGUF file's header: read and checked in plain Python."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from tinymed.errors import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_FIELDS = 65_536
MAX_TENSORS = 100_000
MAX_ELEMENTS = 4_000_000
"""Of all lists of texts together; the largest vocabularies with their merges have 600,000."""
MAX_KEY_BYTES = 65_535
MAX_TEXT_BYTES = 16 << 20
MAX_NAME_BYTES = 63
"""llama.cpp keeps a tensor's name in 64 bytes, with a zero at its end."""
MAX_DIMENSIONS = 4
MAX_LIST_DEPTH = 2
MAX_BLOCKS = 512
"""Layers that llama.cpp has room for; it ends the whole process where a file states more."""
MAX_ALIGNMENT = 1 << 20
_DEFAULT_ALIGNMENT = 32
_MAX_INT64 = (1 << 63) - 1
_FEWEST_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8
_FEWEST_FIELD_BYTES = 8 + 1 + 4 + 1
_READERS_OWN = frozenset({"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"})
"""The gguf package keeps its own facts under these keys."""

_UINT32, _BOOL, _TEXT, _LIST = 4, 7, 8, 9
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""By GGUF's number of a type: 8- to 64-bit integers and floats, and bool."""
_ALIGNMENT = "general.alignment"
_ARCHITECTURE = "general.architecture"
_BLOCK_COUNT = ".block_count"
_TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """Where one tensor lies."""

    name: str
    shape: tuple[int, ...]
    """As the file has it: the row's length first."""
    ggml_type: int
    start: int
    """First byte, counted from the begin of the tensors' data."""
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a GGUF file says of itself, found to be true of its size."""

    version: int
    architecture: str | None
    keys: tuple[str, ...]
    tensors: tuple[GgufTensor, ...]
    data_start: int
    """Byte at which the tensors' data begin."""


def check_gguf(path: Path) -> GgufHeader:
    """Read a GGUF file's header and refuse whatever the format forbids.

    Every count and length is compared with what the file can hold before anything of that
    size is read, and sizes are multiplied in Python's integers, which do not overflow.

    Raises:
        ModelError: If the file cannot be read, is not GGUF of a known version, or says of a
            field or a tensor what cannot be.

    Source:
        The GGUF specification (ggml, docs/gguf.md) and the checks of llama.cpp's gguf.cpp;
        CVE-2026-7482 and CVE-2026-27940 are overflows behind them.
    """
    try:
        with path.open("rb") as file:
            return _check(_Cursor(file, path))
    except OSError as error:
        raise ModelError(f"Cannot read '{path}': {error.strerror or error}.") from error


class _Cursor:
    """Reads little-endian values one after another, and never past the end."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file = file
        self.path = path
        self.num_bytes = os.fstat(file.fileno()).st_size
        self.position = 0
        self.num_elements = 0

    @property
    def num_left(self) -> int:
        return self.num_bytes - self.position

    def refuse(self, what: str) -> NoReturn:
        raise ModelError(
            f"'{self.path}' is not a whole GGUF file: {what} (at byte {self.position}). "
            "Get it again from its publisher."
        )

    def take(self, count: int, what: str) -> bytes:
        content = self.file.read(count) if count <= self.num_left else b""
        if len(content) != count:
            self.refuse(f"it ends inside {what}, which has {count} bytes")
        self.position += count
        return content

    def skip(self, count: int, what: str) -> None:
        if count > self.num_left:
            self.refuse(f"it ends inside {what}, which has {count} bytes")
        self.position += count
        self.file.seek(self.position)

    def uint32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what), "little")

    def uint64(self, what: str) -> int:
        return int.from_bytes(self.take(8, what), "little")

    def text(self, what: str, *, at_most: int) -> str:
        length = self.uint64(f"the length of {what}")
        if not 0 < length <= at_most:
            self.refuse(f"{what} has {length} bytes; 1 to {at_most} are allowed")
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            self.refuse(f"{what} is not UTF-8")


def _check(cursor: _Cursor) -> GgufHeader:
    if cursor.take(4, "its first word") != MAGIC:
        cursor.refuse("it does not begin with 'GGUF'")
    version = cursor.uint32("its version")
    if version not in VERSIONS:
        cursor.refuse(f"its version is {version}; 2 and 3 can be read")
    num_tensors = _count(cursor, "tensors", MAX_TENSORS, _FEWEST_TENSOR_BYTES)
    num_fields = _count(cursor, "fields", MAX_FIELDS, _FEWEST_FIELD_BYTES)
    fields: dict[str, int | str | None] = {}
    for _ in range(num_fields):
        key, value = _field(cursor)
        if key in fields or key in _READERS_OWN:
            cursor.refuse(f"the field {key[:80]!r} stands twice or is reserved")
        fields[key] = value
    alignment = _alignment(cursor, fields)
    placed = [_tensor(cursor) for _ in range(num_tensors)]
    if len({tensor.name for tensor in placed}) != len(placed):
        cursor.refuse("two tensors have one name")
    data_start = -(-cursor.position // alignment) * alignment
    _refuse_misplaced(cursor, placed, data_start, alignment)
    architecture = fields.get(_ARCHITECTURE)
    return GgufHeader(
        version=version,
        architecture=architecture if isinstance(architecture, str) else None,
        keys=tuple(fields),
        tensors=tuple(placed),
        data_start=data_start,
    )


def _count(cursor: _Cursor, what: str, most: int, fewest_bytes: int) -> int:
    count = cursor.uint64(f"the number of {what}")
    if count > most or count * fewest_bytes > cursor.num_left:
        cursor.refuse(f"it states {count} {what}, more than it can hold or than {most}")
    return count


def _field(cursor: _Cursor) -> tuple[str, int | str | None]:
    """One key, and its value where the checks need it."""
    key = cursor.text("a field's key", at_most=MAX_KEY_BYTES)
    what = f"the field {key[:80]!r}"
    kind = cursor.uint32(what)
    if key == _ARCHITECTURE and kind == _TEXT:
        return key, cursor.text(what, at_most=MAX_KEY_BYTES)
    if key == _ALIGNMENT:
        if kind != _UINT32:
            cursor.refuse(f"{what} has the type {kind}; needed: {_UINT32}")
        return key, cursor.uint32(what)
    if key.endswith(_BLOCK_COUNT) and kind == _UINT32:
        count = cursor.uint32(what)
        if not 1 <= count <= MAX_BLOCKS:
            cursor.refuse(f"{what} is {count}; 1 to {MAX_BLOCKS} are allowed")
        return key, count
    if key == _TOKENS and kind == _LIST:
        _refuse_double_tokens(cursor, what)
    else:
        _skip_value(cursor, kind, what)
    return key, None


def _refuse_double_tokens(cursor: _Cursor, what: str) -> None:
    """Read the vocabulary: llama.cpp ends the whole process where two tokens are one."""
    kind, count = cursor.uint32(what), cursor.uint64(what)
    if kind != _TEXT or 8 * count > cursor.num_left or count > MAX_ELEMENTS:
        cursor.refuse(f"{what} is not a list of texts that it can hold")
    tokens = {_text_bytes(cursor, what) for _ in range(count)}
    if len(tokens) != count:
        cursor.refuse(f"{what} holds a text twice")
    if any(b"\0" in token for token in tokens):
        cursor.refuse(f"{what} holds a zero inside a text")


def _skip_value(cursor: _Cursor, kind: int, what: str) -> None:
    if kind == _BOOL:
        if cursor.take(1, what) not in (b"\0", b"\1"):
            cursor.refuse(f"{what} is neither true nor false")
    elif kind in _SCALAR_BYTES:
        cursor.skip(_SCALAR_BYTES[kind], what)
    elif kind == _TEXT:
        _text_bytes(cursor, what)
    elif kind == _LIST:
        _skip_list(cursor, what, depth=1)
    else:
        cursor.refuse(f"{what} has the unknown type {kind}")


def _text_bytes(cursor: _Cursor, what: str) -> bytes:
    length = cursor.uint64(what)
    if length > MAX_TEXT_BYTES:
        cursor.refuse(f"{what} has {length} bytes; {MAX_TEXT_BYTES} are allowed")
    return cursor.take(length, what)


def _skip_list(cursor: _Cursor, what: str, *, depth: int) -> None:
    if depth > MAX_LIST_DEPTH:
        cursor.refuse(f"{what} is a list nested deeper than {MAX_LIST_DEPTH}")
    kind, count = cursor.uint32(what), cursor.uint64(what)
    if kind in _SCALAR_BYTES:
        cursor.skip(_SCALAR_BYTES[kind] * count, what)
        return
    if kind not in (_TEXT, _LIST):
        cursor.refuse(f"{what} is a list of the unknown type {kind}")
    cursor.num_elements += count
    if cursor.num_elements > MAX_ELEMENTS or 8 * count > cursor.num_left:
        cursor.refuse(f"{what} states {count} elements, more than it can hold")
    for _ in range(count):
        if kind == _TEXT:
            _text_bytes(cursor, what)
        else:
            _skip_list(cursor, what, depth=depth + 1)


def _alignment(cursor: _Cursor, fields: dict[str, int | str | None]) -> int:
    alignment = fields.get(_ALIGNMENT, _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 0 < alignment <= MAX_ALIGNMENT:
        cursor.refuse(f"its alignment is {alignment}; 1 to {MAX_ALIGNMENT} are allowed")
    if alignment & (alignment - 1):
        cursor.refuse(f"its alignment {alignment} is not a power of two")
    return alignment


def _tensor(cursor: _Cursor) -> GgufTensor:
    name = cursor.text("a tensor's name", at_most=MAX_NAME_BYTES)
    what = f"the tensor {name!r}"
    num_dimensions = cursor.uint32(what)
    if not 1 <= num_dimensions <= MAX_DIMENSIONS:
        cursor.refuse(f"{what} has {num_dimensions} dimensions; 1 to {MAX_DIMENSIONS} are allowed")
    shape = struct.unpack(f"<{num_dimensions}Q", cursor.take(8 * num_dimensions, what))
    kind, start = cursor.uint32(what), cursor.uint64(what)
    block_values, block_bytes = _block(cursor, kind, what)
    num_values = 1
    for size in shape:
        num_values *= size
        if size < 1 or num_values * block_bytes > _MAX_INT64:
            cursor.refuse(f"{what} has a size in its shape {shape} that is nought or overflows")
    if shape[0] % block_values:
        cursor.refuse(f"{what} has rows of {shape[0]}, which is no multiple of {block_values}")
    if num_dimensions == 1 and block_values > 1:
        # Norms and biases: llama.cpp ends the whole process when it computes with such a one.
        cursor.refuse(f"{what} has one dimension and is stored in blocks")
    return GgufTensor(
        name=name,
        shape=shape,
        ggml_type=kind,
        start=start,
        num_bytes=num_values // block_values * block_bytes,
    )


def _block(cursor: _Cursor, kind: int, what: str) -> tuple[int, int]:
    """Values in a block of a ggml type, and its bytes."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType  # 0.1 s: only where needed

    try:
        values, num_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        cursor.refuse(f"{what} has the unknown type {kind}")
    return values, num_bytes


def _refuse_misplaced(
    cursor: _Cursor, tensors: list[GgufTensor], data_start: int, alignment: int
) -> None:
    """Refuse tensors that are not aligned, overlap, or reach out of the file."""
    position = 0
    for tensor in sorted(tensors, key=lambda one: one.start):
        what = f"the tensor {tensor.name!r}"
        if tensor.start % alignment:
            cursor.refuse(
                f"{what} begins at data byte {tensor.start}, not a multiple of {alignment}"
            )
        if tensor.start < position:
            cursor.refuse(f"{what} begins at data byte {tensor.start}, inside the one before it")
        position = tensor.start + tensor.num_bytes
        if data_start + position > cursor.num_bytes:
            cursor.refuse(
                f"{what} ends at byte {data_start + position} of a file of {cursor.num_bytes}"
            )
