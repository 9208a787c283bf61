"""What a publisher's service answers about its files, as JSON."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

from tinymed.models.transfer import urls
from tinymed.models.transfer.urls import NETWORK_ERRORS, reason_of

_MAX_BYTES = 32 << 20


class NoListingError(Exception):
    """A service did not answer as it should; callers say what was asked for, and what helps."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        """Say why; `status` is the HTTP status where the service answered with a refusal."""
        super().__init__(reason)
        self.status = status


def ask(url: str, *, token: str | None = None) -> Any:
    """What an address answers, asked again where the answer is cut short.

    Raises:
        NoListingError: If it cannot be reached, refuses, or answers something else than JSON.
    """
    reason = ""
    for _ in range(urls.TRIES):
        try:
            response = urls.open_url(url, {"Accept": "application/json"}, token=token)
            try:
                content = response.read(_MAX_BYTES)
            finally:
                response.close()
            return json.loads(content)
        except urllib.error.HTTPError as error:
            raise NoListingError(reason_of(error), status=error.code) from error
        except NETWORK_ERRORS as error:
            reason = reason_of(error)
        except ValueError:  # cut short, or a network's login page
            reason = "the answer is not JSON"
    raise NoListingError(reason)
