"""Having the system's allocator give large pieces of memory back when they are freed."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_M_MMAP_THRESHOLD = -3
"""glibc's number, <malloc.h>."""
_LARGE_BYTES = 2**20


def give_large_pieces_back() -> None:
    """From now on, return every freed piece of 1 MiB and more to the system at once.

    bitsandbytes unpacks one matrix after the other to multiply it on a processor. glibc raises
    the size from which it returns memory as pieces are freed, keeps these, and places new ones
    badly among them: a model of 0.5 B weights in nf4 took 1,083 to 1,460 MiB, another figure
    each time, and takes 1,009 so, its first token at most 8 % later. Unpacked models lose
    a third of their speed by it. Does nothing on systems other than Linux with glibc.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # musl has none
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
