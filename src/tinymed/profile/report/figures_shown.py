"""Every measured figure as tables: memory, times, energy, and what the machine was doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tinymed.pages.document import Cell, Column, Row, RowGroup, Section, Table
from tinymed.profile.pareto.costs import said
from tinymed.profile.pareto.join import Named
from tinymed.profile.point import FIGURES, PHASES, Memory, Point
from tinymed.profile.report.names import name_cell

NOT_AVAILABLE = "not available"
MEMORY_TITLES = {
    "disk": "on the disk",
    "static": "static",
    "static_with_scales": "static with scales",
    "resident": "resident",
    "proportional": "proportional",
    "anonymous": "anonymous",
    "dynamic": "dynamic",
    "above_static": "above static",
    "peak": "peak",
    "gpu_allocated": "GPU allocated",
    "gpu_reserved": "GPU reserved",
    "gpu_driver": "GPU by the driver",
}
_WHOLE_FROM = 1000
_ON_GPUS_ONLY = ("gpu_allocated", "gpu_reserved", "gpu_driver")
_MEMORY_REMARK = (
    "MiB of 2**20 bytes. Static: parameters and buffers, without scales, as the published figures "
    "count them. Resident, proportional, anonymous: of the process, open and warm, before an "
    "answer. Dynamic: mean over answers of the highest level while answering, weights included, "
    "the published definition. Peak: most the process ever held, opening included."
)
_TIMES_REMARK = (
    "Median; below it the 95th percentile, the spread (p95 − median) / median, and the number of "
    "runs. First token: from the image file's bytes, cold right after loading, then warm."
)
_PARITY_WORDS = {
    "passed": "passed the gate",
    "failed": "refused by the gate",
    "unseen": "not compared with its model",
    "none": "no build: the model itself",
}


def figures_section(points: Sequence[Named]) -> Section:
    """Everything that was measured of every point."""
    return Section(
        id="figures",
        title="Every figure",
        blocks=(
            _points(points),
            _memory(points),
            _times(points, PHASES, "Phases, each apart"),
            _times(points, [name for name in FIGURES if name not in PHASES], "The whole"),
            _conditions(points),
        ),
    )


def _table(
    caption: str,
    columns: Mapping[str, Callable[[Point], Cell]],
    points: Sequence[Named],
    remarks: tuple[str, ...] = (),
) -> Table:
    """A row a point, its name first; of the columns' titles those that end in a colon are text."""
    return Table(
        caption=caption,
        columns=(
            Column(title="Point", kind="text"),
            *(
                Column(
                    title=title.removesuffix(":"),
                    kind="text" if title.endswith(":") else "number",
                )
                for title in columns
            ),
        ),
        groups=(
            RowGroup(
                rows=tuple(
                    Row(
                        cells=(
                            name_cell(one.name, one.point),
                            *(cell_of(one.point) for cell_of in columns.values()),
                        )
                    )
                    for one in points
                )
            ),
        ),
        remarks=remarks,
    )


def _points(points: Sequence[Named]) -> Table:
    columns: dict[str, Callable[[Point], Cell]] = {
        "engine:": lambda point: Cell(text=point.engine),
        "device:": lambda point: Cell(text=point.device),
        "threads": lambda point: Cell(text=str(point.threads)),
        "build:": lambda point: Cell(text=_PARITY_WORDS.get(point.parity, point.parity)),
        "image:": lambda point: Cell(text=point.image),
        "tokens of image / prompt / answer": lambda point: Cell(
            text=f"{point.image_tokens} / {point.prompt_tokens} / {point.answer_tokens}"
        ),
        "weights, sha256:": lambda point: Cell(text=point.weights_sha256[:12]),
    }
    return _table("What was measured", columns, points, tuple(_notes(points)))


def _notes(points: Sequence[Named]) -> Iterator[str]:
    """Each note once, behind the names of the points that have it."""
    for note in dict.fromkeys(note for one in points for note in one.point.notes):
        names = [one.name for one in points if note in one.point.notes]
        of = "Every point" if len(names) == len(points) > 1 else ", ".join(names)
        yield f"{of}: {note}"


def _memory(points: Sequence[Named]) -> Table:
    has_gpu = any(one.point.device != "cpu" for one in points)
    columns: dict[str, Callable[[Point], Cell]] = {
        title: _memory_cell(name)
        for name, title in MEMORY_TITLES.items()
        if has_gpu or name not in _ON_GPUS_ONLY
    }
    return _table("Memory, MiB", columns, points, (_MEMORY_REMARK,))


def _memory_cell(name: str) -> Callable[[Point], Cell]:
    def cell_of(point: Point) -> Cell:
        value = memory_of(point.memory, name)
        return Cell(text=NOT_AVAILABLE if value is None else f"{value:,.1f}")

    return cell_of


def memory_of(memory: Memory, name: str) -> float | None:
    """A figure of memory by its name in MEMORY_TITLES."""
    value = getattr(memory, name)
    assert value is None or isinstance(value, int | float)
    return value


def unit_of(figure: str) -> str:
    """The unit of a name in FIGURES.

    >>> unit_of("load_s"), unit_of("answer_ms"), unit_of("decode_tokens_per_s")
    ('s', 'ms', 'tokens/s')
    """
    if figure.endswith("_ms"):
        return "ms"
    return "tokens/s" if figure.endswith("_per_s") else "s"


def figure_title(figure: str) -> str:
    """A name in FIGURES as words, with its unit.

    >>> figure_title("first_token_cold_ms"), figure_title("decode_tokens_per_s")
    ('first token cold, ms', 'decode, tokens/s')
    """
    words = figure.removesuffix("_ms").removesuffix("_tokens_per_s").removesuffix("_s")
    return f"{words.replace('_', ' ')}, {unit_of(figure)}"


def _times(points: Sequence[Named], figures: Sequence[str], caption: str) -> Table:
    columns = {figure_title(name): _time_cell(name) for name in figures}
    return _table(caption, columns, points, (_TIMES_REMARK,))


def _time_cell(name: str) -> Callable[[Point], Cell]:
    def cell_of(point: Point) -> Cell:
        found = point.figures.get(name)
        if found is None:
            return Cell(text=NOT_AVAILABLE)
        if found.num_runs == 1:
            return Cell(text=_rounded(found.median), detail="n 1")
        spread = f"{100 * abs(found.spread):.1f} %, n {found.num_runs}"
        return Cell(text=_rounded(found.median), detail=f"p95 {_rounded(found.p95)}; {spread}")

    return cell_of


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.3g}"


def _conditions(points: Sequence[Named]) -> Table:
    columns: dict[str, Callable[[Point], Cell]] = {
        "energy of an answer": _energy_cell,
        "counter:": lambda point: Cell(text=point.energy.counter if point.energy else "–"),
        "power": lambda point: Cell(text=f"{point.energy.watts:.1f} W" if point.energy else "–"),
        "used by others": lambda point: Cell(text=_share(point.conditions.used_by_others)),
        "kept by the host": lambda point: Cell(text=_share(point.conditions.stolen)),
        "throttled:": lambda point: Cell(text=_throttled(point.conditions.throttled)),
        "widest spread": lambda point: Cell(
            text=f"{100 * point.conditions.widest_spread:.1f} %",
            detail=point.conditions.widest_figure,
        ),
    }
    return _table("Energy, and whether the clock can be believed", columns, points)


def _energy_cell(point: Point) -> Cell:
    if point.energy is None:
        return Cell(text=NOT_AVAILABLE)
    joules = point.energy.joules_per_answer
    return Cell(
        text=said(joules.median, "J"), detail=f"p95 {said(joules.p95, 'J')}, n {joules.num_runs}"
    )


def _share(share: float | None) -> str:
    return "not told" if share is None else f"{100 * share:.1f} %"


def _throttled(throttled: bool | None) -> str:  # noqa: FBT001 - a mark and nothing else
    return {None: "not told", True: "yes", False: "no"}[throttled]
