"""A safetensors file's header: read and checked in plain Python."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from tinymed.errors import ModelError

MAX_HEADER_BYTES = 32 << 20
"""The format allows 100 MB; parsing that much takes more memory than a clinic's PC can spare,
and 100,000 tensors fit into this."""
MAX_TENSORS = 100_000
_MAX_COMMAS = 16 * MAX_TENSORS
_MAX_BITS = 1 << 63
_LENGTH_BYTES = 8

BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of one value of each type that the format knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsTensor:
    """Where one tensor lies."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the end of the header."""
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsHeader:
    """What a safetensors file says of itself, found to be true of its size."""

    tensors: dict[str, SafetensorsTensor]
    metadata: dict[str, str]


def check_safetensors(path: Path) -> SafetensorsHeader:
    """Read a safetensors file's header and refuse whatever the format forbids.

    Sizes are multiplied in Python's integers, which do not overflow. Stricter than the format
    in three things: the header's length, the number of tensors, and no unknown fields.

    Raises:
        ModelError: If the file cannot be read, or the header is longer than the file, no JSON
            object of the prescribed form, or says of a tensor what cannot be.

    Source:
        https://huggingface.co/docs/safetensors (format), and the checks of its Rust reader.
    """
    try:
        with path.open("rb") as file:
            num_bytes = os.fstat(file.fileno()).st_size
            text, start = _read_header(file, num_bytes, path)
    except OSError as error:
        raise ModelError(f"Cannot read '{path}': {error.strerror or error}.") from error
    row = _parse(text, path)
    metadata = _metadata(row.pop("__metadata__", {}), path)
    tensors = {name: _tensor(name, fields, path) for name, fields in row.items()}
    _refuse_gaps(tensors, num_bytes - start, path)
    return SafetensorsHeader(tensors=tensors, metadata=metadata)


def _read_header(file: IO[bytes], num_bytes: int, path: Path) -> tuple[bytes, int]:
    """The header's JSON, and the byte after it."""
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    left = num_bytes - _LENGTH_BYTES
    if left < 0:
        _refuse(path, f"it has {num_bytes} bytes, too few for the header's length")
    if length > left:
        _refuse(path, f"byte 0 states a header of {length} bytes, of which {left} are there")
    if length > MAX_HEADER_BYTES:
        _refuse(path, f"byte 0 states a header of {length} bytes; {MAX_HEADER_BYTES} are allowed")
    return file.read(length), _LENGTH_BYTES + length


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    if not text.startswith(b"{"):
        _refuse(path, "the header at byte 8 does not begin with '{'")
    # Counted before parsing: this bounds the memory that parsing takes.
    if text.count(b"{") > MAX_TENSORS + 2 or text.count(b",") > _MAX_COMMAS:
        _refuse(path, f"the header lists more than {MAX_TENSORS} tensors")
    try:
        row: dict[str, Any] = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_natural,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except RecursionError:
        _refuse(path, "the header at byte 8 is nested too deep")
    except ValueError as error:
        _refuse(path, f"the header at byte 8 is not the JSON it should be ({error})")
    return row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in row if names.count(name) > 1)
        raise ValueError(f"the name {double[:80]!r} stands twice")
    for name in row:
        name.encode("utf-8")  # half a character, as JSON can spell it, is a ValueError
    return row


def _natural(text: str) -> int:
    if text.startswith("-"):
        raise ValueError(f"the number {text[:40]} is negative")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is not a whole number")


def _metadata(row: object, path: Path) -> dict[str, str]:
    if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
        _refuse(path, "its '__metadata__' is not a table of texts")
    try:
        for value in row.values():
            value.encode("utf-8")
    except UnicodeEncodeError:
        _refuse(path, "its '__metadata__' holds half a character")
    return row


def _tensor(name: str, row: object, path: Path) -> SafetensorsTensor:
    where = f"the tensor {name[:80]!r}"
    if not isinstance(row, dict) or set(row) != {"dtype", "shape", "data_offsets"}:
        _refuse(path, f"{where} is not described by dtype, shape and data_offsets alone")
    dtype, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        _refuse(path, f"{where} has the unknown type {str(dtype)[:40]!r}")
    if not _are_numbers(shape) or not _are_numbers(offsets) or len(offsets) != 2:  # noqa: PLR2004
        _refuse(path, f"{where} has a shape or offsets that are not lists of whole numbers")
    start, end = offsets
    num_bits = _num_bits(shape, BITS[dtype])
    if num_bits is None:
        _refuse(path, f"{where} has a shape whose size overflows")
    if end < start or num_bits != 8 * (end - start):
        _refuse(
            path,
            f"{where} needs {num_bits} bits by its shape, and its offsets {start} to {end} "
            f"hold {8 * (end - start)}",
        )
    return SafetensorsTensor(dtype=dtype, shape=tuple(shape), start=start, end=end)


def _are_numbers(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)


def _num_bits(shape: list[int], bits_each: int) -> int | None:
    """Bits of a tensor, or None where native code would overflow on the way."""
    num_bits = bits_each
    for size in shape:
        num_bits *= size
        if size >= _MAX_BITS or num_bits >= _MAX_BITS:
            return None
    return num_bits


def _refuse_gaps(tensors: dict[str, SafetensorsTensor], num_bytes: int, path: Path) -> None:
    """Refuse unless the tensors fill the rest of the file, one after another."""
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != position:
            _refuse(
                path,
                f"the tensor {name[:80]!r} begins at data byte {tensor.start}, where the one "
                f"before it ends at {position}",
            )
        position = tensor.end
    if position != num_bytes:
        _refuse(path, f"its tensors take {position} bytes, and {num_bytes} follow the header")


def _refuse(path: Path, what: str) -> NoReturn:
    raise ModelError(
        f"'{path}' is not a whole safetensors file: {what}. Get it again from its publisher."
    )
