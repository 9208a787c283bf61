"""How far a run is and how long it will take, on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts what is done: a bar on a terminal, a plain line every ten seconds elsewhere."""

    def __init__(self, label: str, *, total: int, done: int = 0, unit: str = "question") -> None:
        """Start at `done` of `total`; what was done before does not count as speed."""
        self._label = label
        self._unit = unit
        self._total = total
        self._start = self._done = done
        self._started = self._last_line = time.monotonic()
        self._bar: tqdm[Never] | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=done, desc=label, unit=unit, file=sys.stderr)

    def step(self, count: int = 1) -> None:
        """Say that `count` more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        now = time.monotonic()
        finished = self._done >= self._total
        if finished or now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            sys.stderr.write(self._line(now) + "\n")
            sys.stderr.flush()

    def reach(self, done: int) -> None:
        """Say that so many are done in all; fewer than before change nothing."""
        if done > self._done:
            self.step(done - self._done)

    def _line(self, now: float) -> str:
        seconds_each = (now - self._started) / max(1, self._done - self._start)
        left = tqdm.format_interval(seconds_each * (self._total - self._done))
        return f"{self._label}: {self._done} of {self._total} {self._unit}s, {left} left"

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
