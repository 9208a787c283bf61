"""Every reply of a judge on disk: what has been paid for is never asked again."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tinymed.errors import DataError
from tinymed.evaluate.judge.client import Judge, Reply, request_body
from tinymed.evaluate.judge.parse import Order
from tinymed.evaluate.judge.prompt import Messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request about one sample."""

    id: str
    """The sample's."""
    order: Order
    reminded: bool
    """Whether it is the second request, after a reply without scores."""
    messages: Messages
    key: str
    """What its reply is found under."""


def key_of(judge: Judge, messages: Messages) -> str:
    """sha256 over everything a reply depends on: address, model, messages, decoding."""
    content = [judge.url, request_body(judge, messages)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class ReplyLog:
    """Replies as JSON lines that only grow, on the disk before anything else happens.

    A last line that a kill or a power cut left unfinished is cut off when the file is opened
    again.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, made if missing.

        Raises:
            DataError: If a line other than a torn last one is not a reply.
        """
        whole, self.replies = _whole_lines(path)
        """Replies by the key of their call."""
        self._file = path.open("ab")
        self._file.truncate(whole)

    def append(self, call: Call, reply: Reply) -> None:
        """Put one reply on the disk."""
        row = {
            "key": call.key,
            "id": call.id,
            "order": call.order,
            "reminded": call.reminded,
            **asdict(reply),
        }
        # Escaped to ASCII: a reply may hold half a surrogate pair, which is no UTF-8.
        self._file.write((json.dumps(row) + "\n").encode("ascii"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.replies[call.key] = reply

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


def _whole_lines(path: Path) -> tuple[int, dict[str, Reply]]:
    """How many bytes are whole replies, and the replies."""
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    # Each whole line ends in a line break, so the last piece is empty or torn.
    lines.pop()
    replies: dict[str, Reply] = {}
    size = 0
    for number, line in enumerate(lines, start=1):
        try:
            key, reply = _read(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            # After a power cut the last block can hold anything.
            if number == len(lines):
                break
            raise DataError(f"'{path}' line {number} is not a judge's reply.") from error
        replies[key] = reply
        size += len(line) + 1
    return size, replies


def _read(row: dict[str, Any]) -> tuple[str, Reply]:
    reply = Reply(**{field.name: row[field.name] for field in fields(Reply)})
    if not isinstance(row["key"], str) or not isinstance(reply.text, str):
        raise TypeError
    return row["key"], reply
