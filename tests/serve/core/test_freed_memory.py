"""What is freed goes back to the system."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

MEASURE = """
import ctypes, os, sys
import psutil
from tinymed.serve.freed_memory import give_back_freed

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
pieces = [libc.malloc(64_000) for _ in range(1500)]
for piece in pieces:
    ctypes.memset(piece, 1, 64_000)
# What was freed is kept, because the last piece still stands behind it.
for piece in pieces[:-1]:
    libc.free(piece)
process = psutil.Process()
before = process.memory_info().rss
give_back_freed()
print(before - process.memory_info().rss)
"""


def test_freed_pieces_leave_the_process() -> None:
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("only glibc keeps freed pieces so")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert int(done.stdout) > 50_000_000
