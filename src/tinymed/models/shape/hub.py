"""A model's configuration from the hub, and nothing else of it."""

from __future__ import annotations

import json
import urllib.error
from typing import Any
from urllib.parse import quote

from tinymed.errors import ModelError
from tinymed.models.transfer.hub import hub_address, token_for
from tinymed.models.transfer.urls import NETWORK_ERRORS, open_url, reason_of, without_password

_MOST_BYTES = 2**20
_REFUSED = (401, 403)
_NOT_FOUND = 404


def fetch_config(repository: str) -> dict[str, Any]:
    """The config.json of a model on the hub, of its branch "main".

    Args:
        repository: OWNER/NAME.

    Raises:
        ModelError: If it cannot be had, or is no JSON object of at most 1 MiB.
    """
    url = f"{hub_address()}/{quote(repository)}/resolve/main/config.json"
    whence = f"'hf:{repository}'"
    try:
        response = open_url(url, {"Accept-Encoding": "identity"}, token=token_for(url))
        try:
            content = response.read(_MOST_BYTES)
        finally:
            response.close()
    except (*NETWORK_ERRORS, ValueError) as error:
        raise ModelError(_refusal(error, whence)) from error
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ModelError(f"The config.json of {whence} is no JSON object of at most 1 MiB.")
    return value


def _refusal(error: Exception, whence: str) -> str:
    status = error.code if isinstance(error, urllib.error.HTTPError) else None
    if isinstance(error, urllib.error.HTTPError):
        error.close()
    if status in _REFUSED:
        return (
            f"The hub does not give {whence} to everybody ({status}): accept its terms on its "
            "page, and set HF_TOKEN to a token of yours that may read it."
        )
    if status == _NOT_FOUND:
        return f"The hub has no model {whence} with a config.json."
    return (
        f"Cannot ask {without_password(hub_address())} for the config.json of {whence}: "
        f"{reason_of(error)}. Check the network, or name a copy of that file."
    )
