"""JSON lines that only grow, and that a kill or a power cut cannot spoil."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from tinymed.errors import DataError

Entry = TypeVar("Entry")


class LineLog(Generic[Entry]):
    """A file of one JSON object a line; what was added is on the disk.

    A last line that was not written to its end is cut off when the file is opened again.
    """

    def __init__(self, path: Path, read: Callable[[Any], Entry], *, kind: str) -> None:
        """Open `path`, made if missing.

        Args:
            path: The file.
            read: Makes an entry of a line's JSON; ValueError, TypeError or KeyError if it
                cannot.
            kind: What a line should be, for the error, such as "a prediction".

        Raises:
            DataError: If a line other than a torn last one is no entry.
        """
        whole, self.found = _whole_lines(path, read, kind)
        """The entries that the file held when it was opened, in order."""
        self._file = path.open("ab")
        self._file.truncate(whole)

    def add(self, lines: bytes) -> None:
        """Keep whole lines: they survive a kill and, once this returns, a power cut."""
        # In one piece, so that a kill leaves all of them or none.
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        """Be closed at the end of a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()


def _whole_lines(path: Path, read: Callable[[Any], Entry], kind: str) -> tuple[int, list[Entry]]:
    """How many bytes are whole entries, and the entries."""
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    # Each whole line ends in a line break, so the last piece is empty or torn.
    lines.pop()
    entries: list[Entry] = []
    size = 0
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(read(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            # After a power cut the last block can hold anything.
            if number == len(lines):
                break
            raise DataError(f"'{path}' line {number} is not {kind}.") from error
        size += len(line) + 1
    return size, entries
