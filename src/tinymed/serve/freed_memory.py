"""Giving freed memory back to the system: a server that runs for weeks keeps what it needs."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def give_back_freed() -> None:
    """Return to the system whatever has been freed and is kept; takes some milliseconds.

    Requests bring megabytes of base64 and images that come and go in several threads, and glibc
    keeps their pages for the next. Does nothing on systems other than Linux with glibc.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # musl has none
        ctypes.CDLL(None).malloc_trim(0)
