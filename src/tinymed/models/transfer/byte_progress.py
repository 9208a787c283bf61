"""How far bytes have come: MB, speed and time left, on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class ByteProgress:
    """Counts bytes: a bar on a terminal, a plain line every ten seconds elsewhere."""

    def __init__(self, label: str, *, total: int, done: int = 0, shown: bool = True) -> None:
        """Start at `done` of `total`; what was done before does not count as speed."""
        self._label = label
        self._total = total
        self._start = self.done = done
        self._shown = shown
        self._started = self._last_line = time.monotonic()
        self._bar: tqdm[Never] | None = None
        if shown and sys.stderr.isatty():
            self._bar = tqdm(
                total=total,
                initial=done,
                desc=label,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                file=sys.stderr,
            )

    def add(self, count: int) -> None:
        """Say that `count` more bytes are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        now = time.monotonic()
        if self._shown and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            sys.stderr.write(self._line(now) + "\n")
            sys.stderr.flush()

    def set_done(self, done: int) -> None:
        """Say how many bytes are done after all, where some had to be thrown away."""
        self.done = done
        self._start = min(self._start, done)
        if self._bar is not None:
            self._bar.n = done

    def _line(self, now: float) -> str:
        speed = max(self.done - self._start, 0) / max(now - self._started, 1e-9)
        left = tqdm.format_interval((self._total - self.done) / speed) if speed else "?"
        return (
            f"{self._label}: {self.done / 2**20:.1f} of {self._total / 2**20:.1f} MiB, "
            f"{speed / 2**20:.2f} MiB/s, {left} left"
        )

    def __enter__(self) -> Self:
        """Be closed at the end of a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal's line finished."""
        if self._bar is not None:
            self._bar.close()
