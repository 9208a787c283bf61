"""What others printed of memory, with what it measured and its source."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a published word for memory counts."""

    name: str
    title: str
    rule: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """How much less memory one system is said to take than another, in percent as printed."""

    system: str
    against: str
    static_percent: str | None
    """Of static memory as the definition "static" has it; None where it was not printed."""
    dynamic_percent: str | None
    """Of dynamic memory as the definition "dynamic" has it."""
    total_percent: str | None
    """Where the source does not say of which memory."""
    source: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedStatic:
    """Static memory that we derived from a published shape; nobody printed it."""

    shape: str
    bits: str
    """"16-bit", "8-bit" or "4-bit"."""
    static_gib: str
    """GiB of 2**30 bytes, by the definition "derived-static"."""
    systems: tuple[str, ...]
    """The published rows that have this shape and these bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredElsewhere:
    """Memory that others measured."""

    system: str
    device: str
    memory: str
    """As printed, with its unit."""
    definition: str
    """A name of `definitions`."""
    source: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A device that a published system was made for."""

    device: str
    memory: str
    source: str


@cache
def _read() -> dict[str, Any]:
    text = files(__package__).joinpath("memory.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def definitions() -> dict[str, Definition]:
    """What each published word for memory counts, by the name that figures give."""
    return {name: Definition(name=name, **row) for name, row in _read()["definitions"].items()}


def reductions() -> tuple[Reduction, ...]:
    """Every reduction that was printed.

    >>> first = reductions()[0]
    >>> first.system, first.static_percent, first.dynamic_percent
    ('TinyLLaVA-Med-FQ4', '-90', '-89')
    """
    return tuple(
        Reduction(
            system=row["system"],
            against=row["against"],
            static_percent=row.get("static_percent"),
            dynamic_percent=row.get("dynamic_percent"),
            total_percent=row.get("total_percent"),
            source=row["source"],
            remarks=tuple(row.get("remarks", ())),
        )
        for row in _read()["reductions"]
    )


def derived_statics() -> tuple[DerivedStatic, ...]:
    """Static memory of the published shapes, derived by us."""
    return tuple(
        DerivedStatic(**(row | {"systems": tuple(row["systems"])})) for row in _read()["derived"]
    )


def derived_static(system: str) -> DerivedStatic | None:
    """The derived static memory of a published row's system, where its shape is known.

    >>> derived_static("TinyLLaVA-Med-F").static_gib
    '2.86'
    >>> derived_static("Med-MoE Phi2") is None
    True
    """
    return next((one for one in derived_statics() if system in one.systems), None)


def measured_elsewhere() -> tuple[MeasuredElsewhere, ...]:
    """Memory that others measured, each figure by a definition of its own."""
    return tuple(
        MeasuredElsewhere(**(row | {"remarks": tuple(row.get("remarks", ()))}))
        for row in _read()["measured"]
    )


def targets() -> tuple[Target, ...]:
    """The devices that the published systems were made for."""
    return tuple(Target(**row) for row in _read()["targets"])
