"""A model on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Collection

from tinymed.errors import ModelError
from tinymed.models.pull.choose import choose_files
from tinymed.models.pull.plan import PlannedFile, planned_file
from tinymed.models.transfer.hub import hub_address, list_files, listing_address, token_for
from tinymed.models.transfer.listing import NoListingError
from tinymed.models.transfer.urls import without_password

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REFUSED = (401, 403)
_NOT_FOUND = 404


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
    whence = f"'hf:{repository}'"
    token = token_for(listing_address("models", repository, revision))
    try:
        commit, listed = list_files("models", repository, revision, token=token)
        chosen = choose_files(listed, only=only, whence=whence)
        if not _COMMIT.fullmatch(commit):
            raise ModelError(f"{whence}: the hub states no commit, so no version can be kept.")
    except NoListingError as error:
        raise ModelError(_refusal(error, whence, revision)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{whence}: what {without_password(hub_address())} lists is not as expected: {error!r}."
        ) from error
    files = (
        planned_file(
            name,
            listed[name].url,
            num_bytes=listed[name].num_bytes,
            sha256=listed[name].sha256,
            git_blob=listed[name].git_blob,
            whence=whence,
        )
        for name in chosen
    )
    return commit, tuple(files)


def _refusal(error: NoListingError, whence: str, revision: str) -> str:
    if error.status in _REFUSED:
        return (
            f"The hub does not give {whence} to everybody ({error.status}): accept its terms on "
            "its page, and set HF_TOKEN to a token of yours that may read it."
        )
    if error.status == _NOT_FOUND:
        return f"The hub has no model {whence} with the revision '{revision}'."
    if error.status is not None:
        return f"Cannot ask the hub for {whence}: {error}."
    return (
        f"Cannot ask {without_password(hub_address())} for {whence}: {error}. Check the network, "
        "set HF_ENDPOINT to a mirror, or bring a copy of its files in a folder and run: tinymed "
        f"models pull {whence[1:-1]} --from FOLDER"
    )
