"""The counters of energy inside Intel's and AMD's processors, as Linux shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("sys/class/powercap")


@dataclass(slots=True)
class Domain:
    """One counter of a processor's, which begins again at 0 beyond its range."""

    path: Path
    range_uj: int
    last_uj: int
    used_uj: int = 0

    def advance(self) -> int:
        """Microjoules since it was first read."""
        now_uj = int(self.path.read_text("ascii"))
        step_uj = now_uj - self.last_uj
        self.used_uj += step_uj + self.range_uj if step_uj < 0 else step_uj
        self.last_uj = now_uj
        return self.used_uj


class RaplCounter:
    """Processor packages and their memory: an estimate by the processor itself.

    Read it at least every few minutes: a second turn over the range between two readings
    (64 kJ or more: ten minutes at 100 watts) goes unseen.

    Source:
        Documentation/power/powercap/powercap.rst of the Linux kernel.
    """

    name = "rapl"

    def __init__(self, domains: Sequence[Domain], *, counts_memory: bool) -> None:
        """Count from now."""
        self._domains = domains
        self.covers = "processor packages" + (" and their memory" if counts_memory else "")

    def read_joules(self) -> float:
        """Joules since the counter was found."""
        return sum(domain.advance() for domain in self._domains) / 1e6

    def close(self) -> None:
        """Do nothing: nothing is held."""


def find_rapl(root: Path) -> RaplCounter | None:
    """All of the processor's counters; None where one of them is missing or cannot be read."""
    folders = rapl_folders(root)
    domains = [_read_domain(folder) for folder in folders]
    known = [domain for domain in domains if domain is not None]
    # A sum of some of the packages would be taken for that of all.
    if not known or len(known) < len(domains):
        return None
    return RaplCounter(known, counts_memory=any(_name(folder) == "dram" for folder in folders))


def rapl_folders(root: Path) -> list[Path]:
    """Packages, and the memory beside each: "core" and "uncore" are in the package's figure."""
    # Not intel-rapl-mmio: the same packages once more. Not "psys": packages and more.
    folders = sorted((root / POWERCAP).glob("intel-rapl:*"))
    packages = [folder for folder in folders if _name(folder).startswith("package-")]
    return packages and packages + [folder for folder in folders if _name(folder) == "dram"]


def _read_domain(folder: Path) -> Domain | None:
    try:
        return Domain(
            path=folder / "energy_uj",
            range_uj=int((folder / "max_energy_range_uj").read_text("ascii")),
            last_uj=int((folder / "energy_uj").read_text("ascii")),
        )
    except (OSError, ValueError):
        return None


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text("ascii").strip()
    except OSError:
        return ""
