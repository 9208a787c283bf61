"""The costs that quality is weighed against: what each counts, and how it is read and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinymed.errors import ConfigError
from tinymed.profile.pareto.front import Figure, exact
from tinymed.profile.point import Measurement, Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One thing that a model takes."""

    name: str
    title: str
    unit: str
    """Of its figures: "MiB" of 2**20 bytes, "ms", "J" or "tokens/s"."""
    meaning: str
    take: Callable[[Point], Figure | None]
    """None where it could not be measured; never 0 for that."""
    is_gain: bool = False
    """Whether more of it is better."""

    @property
    def axis(self) -> str:
        """Its title with its unit."""
        return f"{self.title}, {self.unit}"


def _measured(found: Measurement | None) -> Figure | None:
    """A figure of several runs: the median, from the quickest run to the 95th percentile."""
    if found is None:
        return None
    return Figure(value=found.median, low=min(found.low, found.median), high=found.p95)


def _exact(value: float | None) -> Figure | None:
    return None if value is None else exact(value)


def peak_mib(point: Point) -> float | None:
    """Most memory that a point held: of its GPU where it ran on one, else of its process.

    Of a GPU, what the driver counts, or, where it does not say, what torch held.
    """
    memory = point.memory
    if point.device == "cpu":
        return memory.peak
    return memory.gpu_reserved if memory.gpu_driver is None else memory.gpu_driver


def _energy(point: Point) -> Figure | None:
    return None if point.energy is None else _measured(point.energy.joules_per_answer)


def _tokens(point: Point) -> Figure | None:
    found = point.figures.get("decode_tokens_per_s")
    if found is None:
        return None
    # Of a speed the slow runs are the low ones; `low` is the slowest, p95 a quick one.
    return Figure(value=found.median, low=found.low, high=max(found.p95, found.median))


_ALL = (
    Cost(
        name="peak",
        title="Peak memory",
        unit="MiB",
        meaning="most memory held, opening included; on a GPU the GPU's",
        take=lambda point: _exact(peak_mib(point)),
    ),
    Cost(
        name="static",
        title="Static memory",
        unit="MiB",
        meaning="parameters and buffers without scales, as the published figures count them",
        take=lambda point: _exact(point.memory.static),
    ),
    Cost(
        name="disk",
        title="Size on the disk",
        unit="MiB",
        meaning="the build's files, or the checkpoint's",
        take=lambda point: exact(point.memory.disk),
    ),
    Cost(
        name="first-token",
        title="Time to first token",
        unit="ms",
        meaning="from the image file's bytes to the first token of the first question, warm",
        take=lambda point: _measured(point.figures.get("first_token_ms")),
    ),
    Cost(
        name="second-question",
        title="Time of a second question",
        unit="ms",
        meaning="to the first token of another question about the same image",
        take=lambda point: _measured(point.figures.get("second_question_ms")),
    ),
    Cost(
        name="tokens",
        title="Speed of decoding",
        unit="tokens/s",
        meaning="tokens after the first",
        take=_tokens,
        is_gain=True,
    ),
    Cost(
        name="energy",
        title="Energy of an answer",
        unit="J",
        meaning="joules per answer, by the counter that each point names",
        take=_energy,
    ),
)

COSTS = {cost.name: cost for cost in _ALL}
"""Every cost by the name a user gives."""


def find_cost(name: str) -> Cost:
    """A cost by its exact name.

    Raises:
        ConfigError: If there is none of this name.
    """
    if name not in COSTS:
        raise ConfigError(f"No cost '{name}'. Known: {', '.join(COSTS)}.")
    return COSTS[name]


_MIB_PER_GIB = 1024
_MS_PER_S = 1000
_WHOLE_FROM = 100


def said(value: float, unit: str) -> str:
    """A figure with its unit, as people say it.

    >>> said(312.4, "MiB"), said(2048, "MiB"), said(84.25, "ms"), said(1500, "ms"), said(3, "J")
    ('312 MiB', '2.00 GiB', '84.2 ms', '1.50 s', '3.0 J')
    """
    if unit == "MiB" and abs(value) >= _MIB_PER_GIB:
        return f"{value / _MIB_PER_GIB:.2f} GiB"
    if unit == "ms" and abs(value) >= _MS_PER_S:
        return f"{value / _MS_PER_S:.2f} s"
    return f"{value:.{0 if abs(value) >= _WHOLE_FROM else 1}f} {unit}"
