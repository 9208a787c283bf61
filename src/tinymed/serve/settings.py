"""How the server is to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tinymed.safe.gate import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, or all together, may take."""

    max_upload_bytes: int = 512_000_000
    """Of an image file, wherever it comes in (a data URI counts decoded)."""
    max_request_bytes: int = 1_000_000
    """Of any other request's body; one of an image that has no more is a small one."""
    max_bodies_bytes: int = 700_000_000
    """Of all large bodies together, from their first byte until their requests end; what would be
    more gets 503 and Retry-After. Small ones are bounded by the connections. One alone may always
    have what its route takes."""
    max_waiting: int = 32
    """Questions and images in the queue, all users together; more get 503 and Retry-After."""
    max_waiting_per_user: int = 8
    """More get 429 and Retry-After."""
    max_cases: int = 64
    """Images kept in memory; the one that was used longest ago is closed."""
    max_case_bytes: int = 1_000_000_000
    """Pixels and key-value caches of all cases together."""
    case_idle_s: float = 3600.0
    """A case nobody has touched for this long is closed."""
    max_question_characters: int = 2000
    max_new_tokens: int = 256
    """The most an answer may be asked to have."""
    header_timeout_s: float = 10.0
    """From a connection's opening to the end of its request's head."""
    body_timeout_s: float = 30.0
    """Between two pieces of a body, sent or read; a body may take this long at any pace."""
    min_body_bytes_per_s: int = 10_000
    """How fast a body must come, over each such stretch, that takes longer than that."""
    max_connections: int = 128
    max_connections_per_address: int = 32
    drain_s: float = 30.0
    """After SIGTERM, how long answers on their way may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Everything `tinymed serve` can be told."""

    model: str = "nano"
    """A model's address, as `tinymed.models.catalog` has it."""
    threads: int | None = None
    force_build: str | None = None
    host: str = "127.0.0.1"
    port: int = 8417
    """0 takes a free one."""
    insecure_lan: bool = False
    """Serve another address than loopback without TLS or without sign-in. Typed in full."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    users: Path | None = None
    """A file of names and scrypt hashes, as `tinymed users` writes it."""
    token_file: Path | None = None
    """Programs' tokens, one a line, as `NAME TOKEN`; the environment's TINYMED_TOKEN is one more,
    of the name "token"."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which clients may call this server, beside loopback's and its own address."""
    audit: Path | None = None
    """The audit's file; None for the one in the user's state folder."""
    safety: Path | None = None
    """A folder written by `tinymed evaluate gates`; None for the model's own, if it has one."""
    gates: Gates = field(default_factory=Gates)
    allow_raw: bool = False
    """Let programs ask with `"safe": false`: the model's own words, no gates."""
    fetch_image_urls: bool = False
    """Let programs name images by http and https URLs, which this server then fetches."""
    keep_words: bool = True
    """Whether the audit holds questions and answers in words, or their sha256 alone. Either way
    the words of a DICOM file's patient name and numbers are struck out."""
    limits: Limits = field(default_factory=Limits)
