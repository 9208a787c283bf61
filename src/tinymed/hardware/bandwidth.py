"""How fast this machine reads memory and multiplies in float32: measured, in NumPy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

LARGEST_BYTES, SMALLEST_BYTES = 2**30, 2**28
TIMES_CACHE = 4
"""The memory read through is so many times as large as the cache."""
SHARE_OF_FREE = 8
"""And at most one in so many of the bytes that are free."""
PRODUCT = 1536
"""Rows and columns of the float32 product: large enough for a processor's full speed."""


def read_gb_per_s(
    threads: int, *, free_bytes: int | None, cache_bytes: int | None, seconds: float
) -> float:
    """Stream through memory that no cache holds, every thread through its share; 10**9 bytes/s.

    Each pass computes the bitwise or of all 64-bit words: of what NumPy offers that comes
    closest to a loop in C that does nothing but read. The median of the passes.

    Args:
        threads: One a core.
        free_bytes: What may be taken; an eighth of it is at most. None for unknown.
        cache_bytes: The largest cache; None for unknown.
        seconds: About how long it may take, filling the memory included.
    """
    num_bytes = LARGEST_BYTES
    if cache_bytes is not None:
        num_bytes = min(num_bytes, max(SMALLEST_BYTES, TIMES_CACHE * cache_bytes))
    if free_bytes is not None:
        num_bytes = min(num_bytes, free_bytes // SHARE_OF_FREE)
    words = np.empty(num_bytes // 8, np.uint64)
    shares = np.array_split(words, threads)
    with ThreadPoolExecutor(threads) as pool:

        def fill(share: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
            share.fill(1)

        started = time.perf_counter()
        list(pool.map(fill, shares))
        left = seconds - (time.perf_counter() - started)
        pass_s = median_s(lambda: list(pool.map(np.bitwise_or.reduce, shares)), left)
    return words.nbytes / pass_s / 1e9


def float32_gflop_per_s(threads: int, *, seconds: float) -> float:
    """Multiply matrices in float32: 10**9 multiplications and additions a second.

    Each thread multiplies a matrix of its own, so that all cores work however many threads
    NumPy's library is allowed. The median of the rounds.
    """
    left = np.full((PRODUCT, PRODUCT), 0.5, np.float32)
    outs = [np.empty_like(left) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def multiply(out: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
            np.matmul(left, left, out=out)

        round_s = median_s(lambda: list(pool.map(multiply, outs)), seconds)
    return 2e-9 * threads * PRODUCT**3 / round_s


def median_s(call: Callable[[], object], seconds: float) -> float:
    """Median time of a call: once to warm up, then until the seconds are over, three at least."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:  # noqa: PLR2004 - a median's least
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
