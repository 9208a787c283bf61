"""The sensor of watts on NVIDIA's Jetson boards, added up to joules."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

_SENSORS = Path("sys/class/hwmon")
_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
"""Rails that feed all others."""
_SECONDS_BETWEEN_SAMPLES = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """One of the supplies that a sensor watches."""

    label: str
    factors: tuple[Path, ...]
    """Files of whole numbers whose product is microwatts: millivolts and milliamperes, or
    microwatts at once."""

    def read_watts(self) -> float:
        """Watts now."""
        microwatts = 1
        for path in self.factors:
            microwatts *= int(path.read_text("ascii"))
        return microwatts / 1e6


class InaCounter:
    """A Jetson's board: its sensor tells the watts of a moment; a thread adds them up.

    Of the rail that feeds all others where the board has one, else of all rails together: what
    the carrier board takes before them is then not counted. Twenty samples a second run beside
    what is measured.

    Source:
        Documentation/hwmon/ina3221.rst of the Linux kernel.
    """

    name = "ina3221"

    def __init__(self, rails: Sequence[Rail]) -> None:
        """Start adding up."""
        self.covers = "board: " + " + ".join(rail.label for rail in rails)
        self._rails = rails
        self._joules = 0.0
        self._lock = Lock()
        self._is_closed = Event()
        self._at, self._watts = monotonic(), self._read_watts()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def read_joules(self) -> float:
        """Joules since the counter was found: straight lines from sample to sample."""
        with self._lock:
            watts, now = self._read_watts(), monotonic()
            self._joules += (now - self._at) * (watts + self._watts) / 2
            self._at, self._watts = now, watts
            return self._joules

    def close(self) -> None:
        """Stop the thread."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.wait(_SECONDS_BETWEEN_SAMPLES):
            with suppress(OSError, ValueError):  # a bus that is busy: the next sample bridges it
                self.read_joules()

    def _read_watts(self) -> float:
        return sum(rail.read_watts() for rail in self._rails)


def find_ina3221(root: Path) -> InaCounter | None:
    """The board's counter; None without a sensor, or where one cannot be read."""
    rails = []
    for folder in sorted((root / _SENSORS).glob("hwmon*")):
        if _text(folder / "name") == "ina3221":
            rails += [_rail(folder, number) for number in (1, 2, 3)]
    known = [rail for rail in rails if rail is not None]
    known = [rail for rail in known if rail.label in _WHOLE_BOARD][:1] or known
    try:
        return InaCounter(known) if known else None
    except (OSError, ValueError):
        return None


def _rail(folder: Path, number: int) -> Rail | None:
    """One of a sensor's three; None where nothing is connected to it."""
    label = _text(folder / f"in{number}_label") or _text(folder / f"power{number}_label")
    if not label or "NC" in label:  # "not connected"
        return None
    power = folder / f"power{number}_input"
    if power.is_file():
        return Rail(label=label, factors=(power,))
    factors = (folder / f"in{number}_input", folder / f"curr{number}_input")
    return Rail(label=label, factors=factors)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
