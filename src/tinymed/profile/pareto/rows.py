"""Fronts as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tinymed.profile.pareto.front import Figure
from tinymed.profile.pareto.query import Choice
from tinymed.profile.pareto.weigh import Front, FrontRow
from tinymed.records import NOTICE


def fronts_json(fronts: Sequence[Front]) -> dict[str, Any]:
    """Fronts as JSON: quality as fractions, each cost in the unit it names."""
    return {"notice": NOTICE, "fronts": [_front_json(front) for front in fronts]}


def _front_json(front: Front) -> dict[str, Any]:
    samples = front.sample_front.samples
    return {
        "samples": samples.name,
        "samples_sha256": samples.sha256,
        "limit": samples.limit,
        "quality": front.metric,
        "costs": {
            cost.name: {
                "unit": cost.unit,
                "more_is_better": cost.is_gain,
                "meaning": cost.meaning,
            }
            for cost in front.costs
        },
        "builds": [_row_json(row) for row in front.rows],
        "without_quality": [named.name for named in front.without_quality],
        "without_cost": [one.name for one in front.without_cost],
        "published": [asdict(point) for point in front.published],
        "choice": None if front.choice is None else _choice_json(front.choice),
        "remarks": list(front.remarks),
    }


def _row_json(row: FrontRow) -> dict[str, Any]:
    point, evaluation = row.pair.measured.point, row.pair.evaluation
    return {
        "name": row.name,
        "status": row.status,
        "dominated_by": list(row.standing.dominated_by) if row.standing else [],
        "model": point.model,
        "scheme": point.scheme,
        "weights_sha256": point.weights_sha256,
        "parity": point.parity,
        "is_busy": point.conditions.is_busy,
        "quality": _figure_json(row.quality),
        "num_samples": row.score.num_samples,
        "num_unparsed": row.score.num_unparsed,
        "costs": {name: _figure_json(figure) for name, figure in row.costs.items()},
        "profile": str(row.pair.measured.folder),
        "evaluation": str(evaluation.folder),
    }


def _figure_json(figure: Figure) -> dict[str, Any]:
    return {"value": figure.value, "interval": [figure.low, figure.high]}


def _choice_json(choice: Choice) -> dict[str, Any]:
    return {
        "bounds": [bound.text for bound in choice.bounds],
        "best": choice.best,
        "runners_up": list(choice.runners_up),
        "sometimes_over": list(choice.sometimes_over),
        "nearest": choice.nearest,
        "gives_way": [
            {"bound": one.bound.text, "cost": one.bound.cost, "value": one.value}
            for one in choice.gives_way
        ],
        "unknown": list(choice.unknown),
    }


_START = ("samples", "name", "status", "quality", "value", "low", "high", "num_samples")


def fronts_csv(fronts: Sequence[Front]) -> str:
    """One line a build and set of samples, by RFC 4180: lines end in CR LF."""
    costs = list(dict.fromkeys(cost.name for front in fronts for cost in front.costs))
    units = {cost.name: cost.unit for front in fronts for cost in front.costs}
    table = io.StringIO()
    writer = csv.writer(table)
    ends = ("", "_low", "_high")
    writer.writerow([*_START, *(f"{name} {units[name]}{end}" for name in costs for end in ends)])
    for front in fronts:
        for row in front.rows:
            score, (low, high) = row.score, row.score.interval
            cells: list[object] = [front.sample_front.samples.name, row.name, row.status]
            cells += [front.metric, score.value, low, high, score.num_samples]
            for name in costs:
                figure = row.costs.get(name)
                cells += ["", "", ""] if figure is None else [figure.value, figure.low, figure.high]
            writer.writerow(cells)
    return table.getvalue()
