"""What an audit found (`audit.json`), as sections: drawings where it is points, else tables.

An audit's fields may grow: each object or list in it becomes a section of tables, and a list of
points is drawn if its fields say that they are a reliability diagram or a risk–coverage curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinymed.evaluate.report.facts import fact_tables, is_single, list_table, words
from tinymed.evaluate.report.figures import percent
from tinymed.pages.charts import Axes, Point, square_plot
from tinymed.pages.document import Figure, Section, Table, Text

_CONFIDENCE = ("confidence", "mean_confidence")
_RISK = ("risk", "selective_risk", "error_rate")
_NOT_OF_THE_AUDIT = ("notice", "run")
_LONGEST_NAME = 24
_FRACTIONS = Text(
    paragraphs=(
        "Figures are fractions of 1, with 95 % intervals; all of them stand in audit.json.",
    )
)


def audit_sections(audit: Mapping[str, Any]) -> list[Section]:
    """A section for each object or list of an audit, and one for its single values."""
    found = {key: value for key, value in audit.items() if key not in _NOT_OF_THE_AUDIT}
    single = {key: value for key, value in found.items() if is_single(value)}
    sections = []
    if single:
        tables = fact_tables(single, caption="Over all")
        sections.append(Section(id="audit", title="Audit", blocks=tuple(tables)))
    for key, value in found.items():
        if key in single or not value:
            continue
        title = words(key).capitalize()
        first = [] if any(one.id != "audit" for one in sections) else [_FRACTIONS]
        sections.append(
            Section(
                id=f"audit-{len(sections) + 1}",
                title=f"Audit: {title.lower()}",
                blocks=(*first, *_figures(value), *_tables(value, title)),
            )
        )
    return sections


def _tables(value: Any, title: str) -> list[Table]:
    """Tables of what is not drawn."""
    if not isinstance(value, Mapping):
        return [list_table(value, title)]
    rest = {key: one for key, one in value.items() if not _drawn(one, "")}
    return fact_tables(rest, caption=title)


def _figures(value: Any, label: str = "") -> Iterator[Figure]:
    """The drawings of every list of points in a value, however deep it lies."""
    if isinstance(value, Mapping):
        here = ", ".join([label, *_names(value)]) if label else ", ".join(_names(value))
        for one in value.values():
            yield from _figures(one, here)
    elif isinstance(value, list):
        figure = _drawn(value, label)
        if figure is not None:
            yield figure
        else:
            for one in value:
                yield from _figures(one, label)


def _names(row: Mapping[str, Any]) -> list[str]:
    """What tells a row from its neighbours: its short words."""
    return [one for one in row.values() if isinstance(one, str) and len(one) <= _LONGEST_NAME]


def _drawn(value: Any, label: str) -> Figure | None:
    if not isinstance(value, list):
        return None
    rows = [row for row in value if isinstance(row, Mapping)]
    return _reliability(rows, label) or _risk(rows, label)


def _points(rows: Sequence[Mapping[str, Any]], x: Sequence[str], y: Sequence[str]) -> list[Point]:
    """The rows that hold a fraction under one of the names of each axis."""
    points = []
    for row in rows:
        across, up = _fraction(row, x), _fraction(row, y)
        if across is not None and up is not None:
            count = row.get("num_samples", row.get("n"))
            num_samples = count if isinstance(count, int) and count >= 0 else None
            points.append(Point(x=across, y=up, num_samples=num_samples))
    return sorted(points, key=lambda point: point.x)


def _fraction(row: Mapping[str, Any], names: Sequence[str]) -> float | None:
    values = [row[name] for name in names if name in row]
    is_fraction = values and isinstance(values[0], int | float) and 0 <= values[0] <= 1
    return float(values[0]) if is_fraction else None


def _reliability(rows: Sequence[Mapping[str, Any]], label: str) -> Figure | None:
    points = [
        point for point in _points(rows, _CONFIDENCE, ("accuracy",)) if point.num_samples != 0
    ]
    if not points:
        return None
    last = points[-1]
    description = (
        f"Answers in {len(points)} groups by confidence; on the diagonal confidence and accuracy "
        "agree. "
        f"At a confidence of {percent(last.x)} % the accuracy is {percent(last.y)} %."
    )
    axes = Axes(title="Reliability diagram", x="confidence, %", y="answered rightly, %")
    return Figure(
        caption=_headed(label)
        + "How often the model is right when it is so sure. Below the dashed line it is surer "
        "than it should be; a dot's area grows with its number of answers.",
        description=description,
        svg=square_plot(axes, points, description=description, diagonal=True),
    )


def _risk(rows: Sequence[Mapping[str, Any]], label: str) -> Figure | None:
    points = _points(rows, ("coverage",), _RISK)
    if not points:
        return None
    last = points[-1]
    description = (
        f"Answering {percent(last.x)} % of the questions, {percent(last.y)} % of the answers are "
        f"wrong; answering only the surest {percent(points[0].x)} %, {percent(points[0].y)} %."
    )
    axes = Axes(title="Risk–coverage curve", x="questions answered, %", y="answered wrongly, %")
    lines = [Point(x=point.x, y=point.y) for point in points]
    return Figure(
        caption=_headed(label)
        + "How many answers are wrong if the model keeps back those it is least sure of.",
        description=description,
        svg=square_plot(axes, lines, description=description),
    )


def _headed(label: str) -> str:
    return f"{label[0].upper()}{label[1:]}. " if label else ""
