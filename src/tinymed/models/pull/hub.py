"""A model on the Hugging Face hub, or on a mirror that speaks as it does.

The hub's own client is not used: version 2.4.0 starts every broken download over and compares
no hash with what came (see `tinymed.models.download`).
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

from tinymed.errors import ModelError
from tinymed.models import urls
from tinymed.models.pull.choose import choose_files
from tinymed.models.pull.plan import PlannedFile, planned_file
from tinymed.models.urls import NETWORK_ERRORS, origin, reason_of, without_password

_MAX_LISTING_BYTES = 32 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REFUSED = (401, 403)
_NOT_FOUND = 404


def hub_address() -> str:
    """The hub: $HF_ENDPOINT, else huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def token_for(url: str) -> str | None:
    """$HF_TOKEN, where the address is the hub's own host; None for any other."""
    token = os.environ.get("HF_TOKEN", "").strip()
    return token if token and origin(url) == origin(hub_address()) else None


def hub_files(
    repository: str, *, revision: str, only: Collection[str]
) -> tuple[str, tuple[PlannedFile, ...]]:
    """The files of a model on the hub, at one commit.

    The hub states the size of every file, the SHA-256 of those in its large-file store and git's
    hash of the others.

    Args:
        repository: OWNER/NAME.
        revision: A branch, a tag or a commit.
        only: Patterns for the weights; none takes all.

    Returns:
        The commit that the revision stands for, and the files.

    Raises:
        ModelError: If the hub cannot be asked, lacks the model, or states no hashes.
        ConfigError: If it is not clear which weights are meant.
    """
    address, whence = hub_address(), f"'hf:{repository}'"
    url = f"{address}/api/models/{quote(repository)}/revision/{quote(revision, safe='')}?blobs=true"
    row = _ask(url, whence, revision)
    try:
        commit, listed = row["sha"], {one["rfilename"]: one for one in row["siblings"]}
        chosen = choose_files(listed, only=only, whence=whence)
        if not _COMMIT.fullmatch(commit):
            raise ModelError(f"{whence}: the hub states no commit, so no version can be kept.")
        base = f"{address}/{quote(repository)}/resolve/{commit}"
        files = [
            planned_file(
                name,
                f"{base}/{quote(name)}",
                num_bytes=listed[name].get("size"),
                sha256=(listed[name].get("lfs") or {}).get("sha256"),
                git_blob=listed[name].get("blobId"),
                whence=whence,
            )
            for name in chosen
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{whence}: what {without_password(address)} lists is not as expected: {error!r}."
        ) from error
    return commit, tuple(files)


def _ask(url: str, whence: str, revision: str) -> Any:
    """What the hub answers, as JSON."""
    reason = ""
    for _ in range(urls.TRIES):
        try:
            response = urls.open_url(url, {"Accept": "application/json"}, token=token_for(url))
            try:
                content = response.read(_MAX_LISTING_BYTES)
            finally:
                response.close()
            return json.loads(content)
        except urllib.error.HTTPError as error:
            raise ModelError(_refusal(error, whence, revision)) from error
        except NETWORK_ERRORS as error:
            reason = reason_of(error)
        except ValueError:  # cut short, or a network's login page
            reason = "the answer is not JSON"
    raise ModelError(
        f"Cannot ask {without_password(hub_address())} for {whence}: {reason}. Check the network, "
        "set HF_ENDPOINT to a mirror, or bring a copy of its files in a folder and run: tinymed "
        f"models pull {whence[1:-1]} --from FOLDER"
    )


def _refusal(error: urllib.error.HTTPError, whence: str, revision: str) -> str:
    if error.code in _REFUSED:
        return (
            f"The hub does not give {whence} to everybody ({error.code}): accept its terms on its "
            "page, and set HF_TOKEN to a token of yours that may read it."
        )
    if error.code == _NOT_FOUND:
        return f"The hub has no model {whence} with the revision '{revision}'."
    return f"Cannot ask the hub for {whence}: {reason_of(error)}."
