"""What one row of the audit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EntryKind = Literal[
    "started",  # the server, with model, weights, gates, versions
    "received",  # an image: its sha256, size, kind; never a pixel or a name
    "asked",  # a question, on the disk before any of its answer leaves
    "answered",  # the answer, on the disk before it is said to be complete
    "stopped",  # an answer that was not completed: the client left, pressed stop, or it failed
    "verdict",  # a clinician's: accept, reject or edit
    "exported",  # a case's report left the server
    "signed-in",
    "refused",  # a password or token that did not fit
    "purged",  # older rows, by whom and up to where
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row to be written."""

    kind: EntryKind
    user: str = ""
    """Who, as signed in; "" on a computer of one's own."""
    case: str = ""
    """A pseudonym that the server drew; "" where there is none."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """JSON values. No pixels and no names of patients."""
