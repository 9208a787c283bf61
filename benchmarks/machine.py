"""What the machine can: what figures of speed are read against."""

from __future__ import annotations

import ctypes
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROBE_BYTES = 2**31
PROBE_PASSES = 7
PRODUCT = (608, 2048, 5632)
"""Rows, middle and columns of the product of bytes: a prefill's largest."""

# Each thread reads its share once through, 64 bytes at a time, and adds them up. Huge pages and
# the hint 1 KiB ahead are what a program can do to be read faster; on the machine tried, neither
# more streams a thread nor other distances read more. Without both it is the plain loop.
_SOURCE = r"""
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
typedef uint64_t word __attribute__((vector_size(64), aligned(64), may_alias));
static const char *memory; static size_t share; static int hinted;
static double now(void) {
  struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec;
}
static void *read_share(void *which) {
  const char *at = memory + share * (size_t)which, *end = at + share;
  word a = {0}, b = {0}, c = {0}, d = {0};
  if (hinted)
    for (; at < end; at += 64) { __builtin_prefetch(at + 1024, 0, 3); a += *(const word *)at; }
  else
    for (; at < end; at += 256) {
      a += *(const word *)at; b += *(const word *)(at + 64);
      c += *(const word *)(at + 128); d += *(const word *)(at + 192);
    }
  a += b + c + d;
  return (void *)(uintptr_t)a[0];
}
int read_seconds(size_t bytes, long threads, int tuned, int passes, double *seconds) {
  void *mapped = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED || threads > 64) return 1;
#ifdef MADV_HUGEPAGE
  madvise(mapped, bytes, tuned ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  memset(mapped, 1, bytes);
  memory = mapped; hinted = tuned; share = bytes / threads / 4096 * 4096;
  for (int n = 0; n < passes; n++) {
    pthread_t others[64]; double start = now();
    for (long n = 1; n < threads; n++) pthread_create(&others[n], 0, read_share, (void *)n);
    volatile uintptr_t kept = (uintptr_t)read_share(0);
    for (long n = 1; n < threads; n++) pthread_join(others[n], 0);
    (void)kept; seconds[n] = now() - start;
  }
  return munmap(mapped, bytes);
}
"""


class Probe:
    """Reads memory as fast as it can be read, and multiplies bytes as fast as it can.

    The bandwidth is one figure: every thread streams through its share of 2 GiB, which no cache
    holds, with huge pages where the system gives them. The same loop in ordinary pages without
    hints, which reads less, stands beside it: published fractions are often of that.
    """

    def __init__(self, work: Path, threads: int) -> None:
        """Compile the loop in a folder.

        Raises:
            RuntimeError: If there is no C compiler: numpy reads a third less, and would flatter.
        """
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise RuntimeError("The bandwidth cannot be probed without a C compiler: install gcc.")
        (work / "probe.c").write_text(_SOURCE, encoding="ascii")
        command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", "-pthread"]
        command += ["-o", str(work / "probe.so"), str(work / "probe.c")]
        subprocess.run(command, check=True)
        self._read_seconds: Any = ctypes.CDLL(str(work / "probe.so")).read_seconds
        self._threads = threads
        self.how = (
            f"C, {threads} threads streaming through 2 GiB, huge pages asked for, median of "
            f"{PROBE_PASSES} passes"
        )

    def measure(self) -> dict[str, float]:
        """Bandwidths in GB/s and the peak of 8-bit products in GOP/s."""
        found = {
            "read_gb_per_s": self._read(tuned=True),
            "plain_read_gb_per_s": self._read(tuned=False),
        }
        try:
            import torch
        except ImportError:
            return found
        torch.set_num_threads(self._threads)
        rows, middle, columns = PRODUCT
        left, right = (
            torch.randint(-100, 100, shape, dtype=torch.int8)
            for shape in ((rows, middle), (middle, columns))
        )
        seconds = _median_s(lambda: torch._int_mm(left, right))  # noqa: SLF001
        return found | {"int8_gop_per_s": 2e-9 * rows * middle * columns / seconds}

    def _read(self, *, tuned: bool) -> float:
        seconds = (ctypes.c_double * PROBE_PASSES)()
        size, threads = ctypes.c_size_t(PROBE_BYTES), ctypes.c_long(self._threads)
        if self._read_seconds(size, threads, int(tuned), PROBE_PASSES, seconds):
            raise RuntimeError("There is no room for the 2 GiB that the bandwidth is probed with.")
        median_s: float = statistics.median(seconds)
        return PROBE_BYTES / median_s / 1e9


def _median_s(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(PROBE_PASSES):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
