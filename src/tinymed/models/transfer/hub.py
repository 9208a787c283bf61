"""The Hugging Face hub, or a mirror that speaks as it does: what a repository holds.

The hub's own client is not used: version 2.4.0 starts every broken download over and compares
no hash with what came (see `tinymed.models.transfer.download`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from tinymed.models.transfer.listing import ask
from tinymed.models.transfer.urls import origin

Kind = Literal["models", "datasets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file as the hub states it; nothing is checked yet."""

    url: str
    num_bytes: Any
    sha256: Any
    """Of files in the hub's large-file store alone."""
    git_blob: Any
    """Git's hash."""


def hub_address() -> str:
    """The hub: $HF_ENDPOINT, else huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def token_for(url: str) -> str | None:
    """$HF_TOKEN, where the address is the hub's own host; None for any other."""
    token = os.environ.get("HF_TOKEN", "").strip()
    return token if token and origin(url) == origin(hub_address()) else None


def listing_address(kind: Kind, repository: str, revision: str) -> str:
    """Where the hub lists the files of a repository, OWNER/NAME, at one revision."""
    place = f"{quote(repository)}/revision/{quote(revision, safe='')}"
    return f"{hub_address()}/api/{kind}/{place}?blobs=true"


def list_files(
    kind: Kind, repository: str, revision: str, *, token: str | None = None
) -> tuple[Any, dict[str, HubFile]]:
    """Ask for a repository's files at one revision.

    Returns:
        The commit that the revision stands for, as stated, and the files by their paths.

    Raises:
        NoListingError: If the hub does not answer.
        KeyError, TypeError, AttributeError: If the answer has another shape.
    """
    row = ask(listing_address(kind, repository, revision), token=token)
    commit, folder = row["sha"], "" if kind == "models" else f"{kind}/"
    base = f"{hub_address()}/{folder}{quote(repository)}/resolve/{commit}"
    files = {
        one["rfilename"]: HubFile(
            url=f"{base}/{quote(one['rfilename'])}",
            num_bytes=one.get("size"),
            sha256=(one.get("lfs") or {}).get("sha256"),
            git_blob=one.get("blobId"),
        )
        for one in row["siblings"]
    }
    return commit, files
