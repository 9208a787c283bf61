"""Every reply of a judge on disk: what has been paid for is never asked again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tinymed.evaluate.judge.client import Judge, Reply, request_body
from tinymed.evaluate.judge.parse import Order
from tinymed.evaluate.judge.prompt import Messages
from tinymed.evaluate.line_log import LineLog


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


class ReplyLog(LineLog[tuple[str, Reply]]):
    """Replies on disk, one line each, with the key of their call."""

    def __init__(self, path: Path) -> None:
        """Open `path`, made if missing.

        Raises:
            DataError: If a line other than a torn last one is not a reply.
        """
        super().__init__(path, _read, kind="a judge's reply")
        self.replies = dict(self.found)
        """Replies by the key of their call."""

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
        self.add((json.dumps(row) + "\n").encode("ascii"))
        self.replies[call.key] = reply


def _read(row: dict[str, Any]) -> tuple[str, Reply]:
    reply = Reply(**{field.name: row[field.name] for field in fields(Reply)})
    if not isinstance(row["key"], str) or not isinstance(reply.text, str):
        raise TypeError
    return row["key"], reply
