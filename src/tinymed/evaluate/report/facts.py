"""A JSON object of any shape as tables: what a report shows of files whose fields may grow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinymed.pages.document import (
    Cell,
    Column,
    ColumnKind,
    Row,
    RowGroup,
    Table,
)

MAX_ROWS = 12
"""Of one list; a table says how many it leaves out."""
_MAX_DEPTH = 4


def fact_tables(facts: Mapping[str, Any], *, caption: str) -> list[Table]:
    """The single values of an object as one table, each object or list in it as a further one.

    >>> tables = fact_tables({"num_train": 3, "examples": [{"id": "a"}]}, caption="Shared")
    >>> [table.caption for table in tables]
    ['Shared', 'Shared: examples']
    """
    return list(_tables(facts, caption=caption, depth=0))


def _tables(facts: Mapping[str, Any], *, caption: str, depth: int) -> Iterator[Table]:
    single = {key: value for key, value in facts.items() if is_single(value)}
    if single:
        yield pairs_table({words(key): cell(value) for key, value in single.items()}, caption)
    for key, value in facts.items():
        if key in single or not value:
            continue
        below = f"{caption}: {words(key)}"
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from _tables(value, caption=below, depth=depth + 1)
        elif isinstance(value, Sequence):
            yield list_table(value, below)


def is_single(value: object) -> bool:
    """Whether a value fits one cell: a figure, an interval, words, or no object and no list."""
    is_one = not isinstance(value, Mapping | list | tuple)
    return is_one or is_interval(value) or is_figure(value) or _is_words(value)


def _is_words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def is_interval(value: object) -> bool:
    """Whether a value is a lower and an upper bound."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2  # noqa: PLR2004 - its lower and its upper bound
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
    )


def is_figure(value: object) -> bool:
    """Whether a value is an object with a value and its interval.

    >>> is_figure({"value": 0.5, "interval": [0.4, 0.6], "num_samples": 9})
    True
    """
    return isinstance(value, Mapping) and {"value", "interval"} <= value.keys()


def pairs_table(rows: Mapping[str, Cell], caption: str, *, kind: ColumnKind = "number") -> Table:
    """A table of names and values."""
    return Table(
        caption=caption,
        columns=(Column(title="", kind="text"), Column(title="", kind=kind)),
        groups=(
            RowGroup(
                rows=tuple(Row(cells=(Cell(text=name), value)) for name, value in rows.items())
            ),
        ),
    )


def list_table(items: Sequence[Any], caption: str) -> Table:
    """A list as a table: a column a field where it holds objects, evenly thinned if long.

    Objects in an object give a column each of their fields; lists in it are left out.
    """
    kept = [_flat(items[place]) for place in evenly(len(items), MAX_ROWS)]
    fields = [
        field
        for field in dict.fromkeys(key for row in kept for key in row)
        if any(row.get(field) not in (None, "") for row in kept)
    ]
    rows = tuple(Row(cells=tuple(cell(row.get(field)) for field in fields)) for row in kept)
    return Table(
        caption=caption,
        columns=tuple(
            Column(
                title=words(field),
                kind="number" if all(_is_number(row.get(field)) for row in kept) else "text",
            )
            for field in fields
        ),
        groups=(RowGroup(rows=rows),),
        remarks=(f"{len(kept)} of {len(items)} rows, evenly chosen.",)
        if len(kept) < len(items)
        else (),
    )


def _flat(item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"value": item}
    flat: dict[str, Any] = {}
    for key, value in item.items():
        if is_single(value):
            flat[key] = value
        elif isinstance(value, Mapping):
            flat |= {f"{key} {words(name)}": one for name, one in _flat(value).items()}
    return flat


def evenly(count: int, most: int) -> list[int]:
    """At most so many places of a list, evenly spread, the first and the last among them.

    >>> evenly(3, 12), evenly(9, 3)
    ([0, 1, 2], [0, 4, 8])
    """
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def _is_number(value: object) -> bool:
    if isinstance(value, bool | str):
        return False
    return value is None or isinstance(value, int | float) or is_interval(value) or is_figure(value)


def words(key: str) -> str:
    """A field's name as words.

    >>> words("num_near_image"), words("same_image_and_question")
    ('near image', 'same image and question')
    """
    return str(key).removeprefix("num_").replace("_", " ")


def cell(value: object) -> Cell:
    """A value as a cell; a figure brings its interval, or why it has no value."""
    if isinstance(value, Mapping) and is_figure(value):
        interval = value["interval"]
        reason = value.get("reason") or ""
        return Cell(
            text=shown(value["value"]),
            detail=str(reason) if interval is None else shown(interval),
        )
    return Cell(text=shown(value))


def shown(value: object) -> str:
    """A value of a JSON file as text.

    >>> shown(0.123456), shown([0.1, 0.25]), shown(None), shown(True), shown(12)
    ('0.123', '[0.100,\\xa00.250]', '–', 'yes', '12')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple) and is_interval(value):
        return f"[{shown(value[0])},\N{NO-BREAK SPACE}{shown(value[1])}]"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value)
