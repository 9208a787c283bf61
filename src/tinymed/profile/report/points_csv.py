"""Measured points as CSV: one row a point, every figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tinymed.profile.pareto.join import Named
from tinymed.profile.point import FIGURES, Measurement, Point
from tinymed.profile.report.figures_shown import MEMORY_TITLES, memory_of

_MEASURED = ("median", "p95", "low", "high", "num_runs")
_FACTS = (
    *("model", "scheme", "engine", "device", "threads", "weights_sha256", "is_random", "parity"),
    *("image", "image_tokens", "prompt_tokens", "answer_tokens"),
)
_CONDITIONS = (
    *("used_by_others", "stolen", "throttled", "widest_spread", "widest_figure", "is_busy"),
)
_PREDICTED = ("peak_mib", "static_mib", "disk_mib", *FIGURES)


def points_csv(points: Sequence[Named]) -> str:
    """Points by RFC 4180: lines end in CR LF; a figure that is not available is empty."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(_heading())
    writer.writerows([one.name, *_cells(one.point)] for one in points)
    return table.getvalue()


def _heading() -> list[str]:
    return [
        "name",
        *_FACTS,
        *(f"{name}_mib" for name in MEMORY_TITLES),
        *(f"{name}_{part}" for name in FIGURES for part in _MEASURED),
        *(f"energy_joules_{part}" for part in _MEASURED),
        *("energy_counter", "energy_watts"),
        *_CONDITIONS,
        *(f"predicted_{name}" for name in _PREDICTED),
        "notes",
    ]


def _cells(point: Point) -> list[object]:
    # csv writes None as an empty cell.
    energy = point.energy
    return [
        *(getattr(point, name) for name in _FACTS),
        *(memory_of(point.memory, name) for name in MEMORY_TITLES),
        *(cell for name in FIGURES for cell in _measured(point.figures.get(name))),
        *_measured(energy.joules_per_answer if energy else None),
        *((energy.counter, energy.watts) if energy else (None, None)),
        *(getattr(point.conditions, name) for name in _CONDITIONS),
        *(point.predicted.get(name) for name in _PREDICTED),
        " ".join(point.notes),
    ]


def _measured(found: Measurement | None) -> list[float | None]:
    return [None if found is None else getattr(found, part) for part in _MEASURED]
