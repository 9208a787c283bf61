"""What others use of this machine while something is measured, and what keeps it slow."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tinymed.hardware.gpu import is_slowed

BUSY_SHARE = 0.1
"""Of all processors' time, used by others: above it, times measured here are not to be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What happened between two looks at the machine; None where the system does not say."""

    seconds: float
    used_by_others: float | None
    """Share of all processors' time that other processes used: all but this one and those it
    started."""
    stolen: float | None
    """Share that the hypervisor kept for other machines."""
    throttled: bool | None
    """Whether the processor counted a slow-down for heat meanwhile, or a GPU was slowed down at
    the beginning or at the end."""

    @property
    def is_busy(self) -> bool:
        """Whether others used more than a tenth; False where it is not told."""
        return (self.used_by_others or 0.0) > BUSY_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """Seconds since the machine started, summed over all processors."""

    busy: float
    stolen: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    at: float
    times: _Times | None
    own: float
    """Processors' time of this process and all that it started, ended ones included."""
    slowdowns: int | None
    is_slowed: bool | None


class Watch:
    """Two looks at the machine, before and after: between them it costs nothing.

    Looking takes some milliseconds, a few hundred where a GPU's driver must be asked, so begin
    before the clock starts and end after it stopped. On Windows the time of processes that this
    one started and that have ended counts as others'.

    Example:
        >>> with Watch() as watch:
        ...     total = sum(range(1000))
        >>> watch.load.seconds < 60
        True
    """

    def __init__(self, *, root: Path = Path("/")) -> None:
        """Look at nothing yet.

        Args:
            root: Folder that holds `proc` and `sys`; another in tests.
        """
        self._root = root
        self._before: _Look | None = None
        self._load: Load | None = None

    def start(self) -> None:
        """Take the first look."""
        self._before = self._look()

    def stop(self) -> Load:
        """Take the second look and compare; the first one stands, to be compared again.

        Raises:
            RuntimeError: If there was no first look.
        """
        if self._before is None:
            raise RuntimeError("A Watch must be started before it is stopped.")
        self._load = _compare(self._before, self._look())
        return self._load

    @property
    def load(self) -> Load:
        """What the last `stop` found."""
        return self._load or self.stop()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _look(self) -> _Look:
        times = _all_times(self._root)
        return _Look(
            at=time.monotonic(),
            times=times,
            own=0.0 if times is None else _own_seconds(),
            slowdowns=_slowdowns(self._root),
            is_slowed=is_slowed(),
        )


def used_by_others(seconds: float = 1.0, *, root: Path = Path("/")) -> float | None:
    """Share of all processors' time that other processes use now, while this one waits.

    Returns:
        None where the system does not say.
    """
    with Watch(root=root) as watch:
        time.sleep(seconds)
    return watch.load.used_by_others


def _compare(before: _Look, after: _Look) -> Load:
    used = stolen = None
    if before.times is not None and after.times is not None:
        total = after.times.total - before.times.total
        if total > 0:
            busy = after.times.busy - before.times.busy - (after.own - before.own)
            used = min(1.0, max(0.0, busy / total))
            stolen = min(1.0, max(0.0, (after.times.stolen - before.times.stolen) / total))
    signs = [one for one in (before.is_slowed, after.is_slowed) if one is not None]
    if before.slowdowns is not None and after.slowdowns is not None:
        signs.append(after.slowdowns > before.slowdowns)
    return Load(
        seconds=after.at - before.at,
        used_by_others=used,
        stolen=stolen,
        throttled=any(signs) if signs else None,
    )


def _all_times(root: Path) -> _Times | None:
    if platform.system() != "Linux":
        return _times_from_psutil()
    try:
        words = (root / "proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
    except OSError:
        return None
    # user nice system idle iowait irq softirq steal; the guests' that follow are user's already.
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words[1:9]]
    idle, stolen = ticks[3] + ticks[4], ticks[7]
    return _Times(busy=sum(ticks) - idle - stolen, stolen=stolen, total=sum(ticks))


def _times_from_psutil() -> _Times:
    import psutil

    told = psutil.cpu_times()
    total = told.user + told.system + told.idle + getattr(told, "nice", 0.0)
    return _Times(busy=total - told.idle, stolen=0.0, total=total)


def _own_seconds() -> float:
    """Of this process, of those it started that ended, and of those that still run."""
    import psutil

    own = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # ended meanwhile
            own += sum(child.cpu_times()[:4])
    return own


def _slowdowns(root: Path) -> int | None:
    """How often Intel's processors slowed down for heat since the machine started."""
    folder = root / "sys/devices/system/cpu"
    counters = [*folder.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    try:
        return sum(int(path.read_text("ascii")) for path in counters) if counters else None
    except (OSError, ValueError):
        return None
