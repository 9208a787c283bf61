"""The chain: each row's hash covers the row and the hash of the row before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as it stands in the audit."""

    number: int
    """1, 2, 3, …"""
    time: str
    """UTC, such as "2026-11-22T14:00:00.123Z"."""
    kind: str
    user: str
    case: str
    body: str
    """Canonical JSON."""
    hash: str = ""
    """SHA-256 in 64 hexadecimal digits; "" before it is chained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A row's number and hash, which together stand for all rows up to it."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` of a head gave.

        Raises:
            ValueError: If it is anything else.
        """
        number, _, digits = text.strip().partition(":")
        digest = bytes.fromhex(digits)
        if len(digest) != hashlib.sha256().digest_size:
            raise ValueError(text)
        return cls(number=int(number), hash=digest.hex())  # as people group it, with blanks


def canonical_json(body: Mapping[str, Any]) -> str:
    """The one way to write a body: ASCII, keys in order, no blanks.

    >>> canonical_json({"b": "é", "a": [1, 2.5]})
    '{"a":[1,2.5],"b":"\\\\u00e9"}'
    """
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_after(previous: str, row: Row) -> str:
    """A row's hash behind the hash of the row before it; `row.hash` plays no part.

    What is hashed is a JSON list in ASCII, so no two different rows are hashed alike and any
    language can compute it anew.
    """
    fields = [previous, row.number, row.time, row.kind, row.user, row.case, row.body]
    return hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode()).hexdigest()
