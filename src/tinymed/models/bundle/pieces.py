"""One long file that may be cut into pieces, read and written at any place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tinymed.runs import sync_folder

_FIRST_PIECE = re.compile(r"(.+)\.(0*1)")


def piece_path(path: Path, number: int) -> Path:
    """Where piece `number` of a file lies, counted from 1."""
    return path.with_name(f"{path.name}.{number:03}")


def pieces_from(first: Path) -> list[Path]:
    """A file's pieces in order, given the first; the file alone where it is no piece.

    Numbers that are missing are listed all the same, up to the last that is there.
    """
    match = _FIRST_PIECE.fullmatch(first.name)
    if not match:
        return [first]
    stem, width = match[1], len(match[2])
    numbered = re.compile(re.escape(stem) + rf"\.(\d{{{width},}})")
    found = [numbered.fullmatch(path.name) for path in first.parent.iterdir()]
    last = max(int(one[1]) for one in found if one)
    return [first.with_name(f"{stem}.{number:0{width}}") for number in range(1, last + 1)]


class PieceReader:
    """Reads at any place; what is not there, or cannot be read, comes as fewer bytes."""

    def __init__(self, pieces: list[Path]) -> None:
        self.pieces = pieces
        self.piece_bytes = pieces[0].stat().st_size

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes; fewer where a piece is missing, short, or unreadable."""
        content = b""
        for path, start, length in _spans(self.pieces, self.piece_bytes, offset, count):
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    piece = file.read(length)
            except OSError:  # a stick that fails to read one place still reads others
                piece = b""
            content += piece
            if len(piece) < length:
                break
        return content

    def where(self, offset: int) -> str:
        """A place in words, for a message."""
        number = min(offset // self.piece_bytes, len(self.pieces) - 1)
        return f"byte {offset - number * self.piece_bytes} of '{self.pieces[number]}'"


class PieceWriter:
    """Writes at any place, and reads back; the pieces get their names when all are whole.

    Until then each is `NAME.partial`, which survives the process.
    """

    def __init__(self, target: Path, *, num_bytes: int, piece_bytes: int | None) -> None:
        self.num_bytes = num_bytes
        self.piece_bytes = piece_bytes or num_bytes
        count = -(-num_bytes // self.piece_bytes)
        self.paths = (
            [target]
            if piece_bytes is None
            else [piece_path(target, number) for number in range(1, count + 1)]
        )
        self._partials = [
            path if path.exists() else path.with_name(path.name + ".partial") for path in self.paths
        ]

    def read(self, offset: int, count: int) -> bytes:
        """What stands at a place; fewer bytes where nothing was written."""
        content = b""
        for path, start, length in self._spans(offset, count):
            if path.exists():
                with path.open("rb") as file:
                    file.seek(start)
                    content += file.read(length)
        return content

    def write(self, offset: int, content: bytes) -> None:
        """Put bytes at a place."""
        view = memoryview(content)
        for path, start, length in self._spans(offset, len(content)):
            path.touch()
            with path.open("r+b") as file:
                file.seek(start)
                file.write(view[:length])
            view = view[length:]

    def finish(self) -> None:
        """Put every piece on the disk and give it its name, the first piece last."""
        for number, path in enumerate(self._partials):
            length = min(self.piece_bytes, self.num_bytes - number * self.piece_bytes)
            with path.open("r+b") as file:
                file.truncate(length)
                os.fsync(file.fileno())
        for partial, path in reversed(list(zip(self._partials, self.paths, strict=True))):
            partial.replace(path)
        sync_folder(self.paths[0].absolute().parent)

    def _spans(self, offset: int, count: int) -> Iterator[tuple[Path, int, int]]:
        return _spans(self._partials, self.piece_bytes, offset, count)


def _spans(
    paths: list[Path], piece_bytes: int, offset: int, count: int
) -> Iterator[tuple[Path, int, int]]:
    """The piece, the place in it and the length of each part of a span."""
    while count > 0:
        number, start = divmod(offset, piece_bytes)
        if number >= len(paths):
            return
        length = min(count, piece_bytes - start)
        yield paths[number], start, length
        offset += length
        count -= length
