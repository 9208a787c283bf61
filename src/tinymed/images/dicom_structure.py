"""How a DICOM file is laid out, counted before it is read: nothing here calls itself."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from tinymed.errors import ImageError
from tinymed.images.limits import MAX_ELEMENTS, MAX_INFLATED_BYTES, MAX_NESTING

_MARK_END: Final = 132
"""Where the data begin, behind 128 free bytes and the mark DICM."""
_SHORTEST_ELEMENT_BYTES: Final = 8
_TRANSFER_SYNTAX: Final = 0x0002_0010
_PIXEL_DATA: Final = (0x7FE0_0010, 0x7FE0_0008, 0x7FE0_0009)
_ITEM: Final = 0xFFFE_E000
_ITEM_END: Final = 0xFFFE_E00D
_SEQUENCE_END: Final = 0xFFFE_E0DD
_UNDEFINED: Final = 0xFFFF_FFFF

_EXPLICIT_LITTLE_ENDIAN = b"1.2.840.10008.1.2.1"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_EXPLICIT_BIG_ENDIAN = b"1.2.840.10008.1.2.2"

_LONG_KINDS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""Value representations with a length of four bytes behind two empty ones (PS3.5 7.1.2)."""


def checked_structure(data: bytes) -> bytes:
    """Count a DICOM file's elements and the depth of its sequences; inflate it where deflated.

    Stops where the layout makes no sense: what a file cut short holds is its reader's to judge.

    Args:
        data: A whole file, with the mark DICM or without.

    Returns:
        The same file, its data set no longer deflated.

    Raises:
        ImageError: If it has more than MAX_ELEMENTS, MAX_NESTING or MAX_INFLATED_BYTES.
    """
    start = _MARK_END if data[_MARK_END - 4 : _MARK_END] == b"DICM" else 0
    walk = _Walk(data=data, position=start, is_little_endian=not data.startswith(b"\0\x08", start))
    syntax = walk.meta()
    if syntax == _DEFLATED:
        data = _inflated(data, start, walk.position)
        walk = _Walk(data=data, position=start)
        walk.meta()
    elif syntax == _EXPLICIT_BIG_ENDIAN:
        walk.is_little_endian = False
    walk.elements()
    return data


def _inflated(data: bytes, start: int, meta_end: int) -> bytes:
    """Unpack a deflated data set and say so in its file meta group."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(memoryview(data)[meta_end:], MAX_INFLATED_BYTES + 1)
    except zlib.error as error:
        raise ImageError("its deflated data are damaged; export or copy it again") from error
    if len(content) > MAX_INFLATED_BYTES:
        raise ImageError(
            f"it inflates to more than {MAX_INFLATED_BYTES // 1_000_000} MB; "
            "export it without deflate compression"
        )
    old = _DEFLATED + b"\0" * (len(_DEFLATED) % 2)
    new = _EXPLICIT_LITTLE_ENDIAN.ljust(len(old), b"\0")
    return data[:start] + data[start:meta_end].replace(old, new, 1) + content


@dataclass(slots=True, kw_only=True)
class _Walk:
    """A way through a file from element to element."""

    data: bytes
    position: int
    is_little_endian: bool = True
    num_elements: int = 0

    def meta(self) -> bytes:
        """Pass the file meta group; give the transfer syntax it names, if any."""
        syntax = b""
        while self._has_element() and self.data.startswith(b"\x02\0", self.position):
            tag, kind, length, header = self._element(is_explicit=True)
            self.position += header
            if tag == _TRANSFER_SYNTAX:
                syntax = self.data[self.position : self.position + min(length, 64)].strip(b" \0")
            if kind is None or length == _UNDEFINED:
                break
            self.position += length
            self._count()
        return syntax

    def elements(self) -> None:
        """Pass the data set, into its sequences too."""
        first_kind = self.data[self.position + 4 : self.position + 6]
        is_explicit = first_kind.isalpha() and first_kind.isupper()
        ends: list[int] = []  # of the sequences around; -1 for those that a mark ends
        fragments = False
        while self._has_element():
            while ends and 0 <= ends[-1] <= self.position:
                ends.pop()
            tag, kind, length, header = self._element(is_explicit=is_explicit)
            self.position += header
            self._count()
            if tag == _SEQUENCE_END:
                fragments = False
                if ends:
                    ends.pop()
            elif tag == _ITEM_END or (tag == _ITEM and not fragments):
                continue
            elif tag in _PIXEL_DATA and length == _UNDEFINED:
                fragments = True
                ends.append(-1)
            elif self._opens_sequence(tag, kind, length):
                ends.append(-1 if length == _UNDEFINED else self.position + length)
                if len(ends) > MAX_NESTING:
                    raise ImageError(
                        f"its sequences are nested more than {MAX_NESTING} deep; export it again"
                    )
            else:
                self.position += length

    def _has_element(self) -> bool:
        return self.position + _SHORTEST_ELEMENT_BYTES <= len(self.data)

    def _count(self) -> None:
        self.num_elements += 1
        if self.num_elements > MAX_ELEMENTS:
            raise ImageError(f"it has more than {MAX_ELEMENTS:,} elements; export a single picture")

    def _element(self, *, is_explicit: bool) -> tuple[int, bytes | None, int, int]:
        """Tag, value representation if it says one, length of the value and of the header."""
        order = "<" if self.is_little_endian else ">"
        group, number = struct.unpack_from(order + "HH", self.data, self.position)
        tag = group << 16 | number
        kind = self.data[self.position + 4 : self.position + 6]
        # Items have none; and some writers leave it out within sequences. Anything between
        # counts as one that came after the standard's, as it does for pydicom.
        if not is_explicit or group == _ITEM >> 16 or not b"AA" <= kind <= b"ZZ":
            return tag, None, self._number("I", 4), 8
        if kind in _LONG_KINDS:
            return tag, kind, self._number("I", 8), 12
        return tag, kind, self._number("H", 6), 8

    def _number(self, kind: str, offset: int) -> int:
        order = "<" if self.is_little_endian else ">"
        try:
            (number,) = struct.unpack_from(order + kind, self.data, self.position + offset)
        except struct.error:  # behind the end
            return 0
        return int(number)

    def _opens_sequence(self, tag: int, kind: bytes | None, length: int) -> bool:
        if length == _UNDEFINED or kind == b"SQ":
            return True
        if kind not in (None, b"UN") or tag in _PIXEL_DATA or length < _SHORTEST_ELEMENT_BYTES:
            return False
        item = b"\xfe\xff\0\xe0" if self.is_little_endian else b"\xff\xfe\xe0\0"
        return self.data.startswith(item, self.position)
