"""A comparison for people: on a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from textwrap import wrap

from tinymed.evaluate.compare.beside import COLUMNS, Beside, Cell, Row
from tinymed.evaluate.compare.compare import Compared
from tinymed.evaluate.compare.mcnemar import McNemar
from tinymed.evaluate.compare.paired import Comparison, Difference
from tinymed.evaluate.metrics.table import METRICS
from tinymed.records import NOTICE

WIDTH = 120
NOT_REPORTED = "not reported"
_LEAST_P = 0.0001
_HEADINGS = {
    "run": "YOUR RUNS, each with its best blind control (95 % interval, whole images resampled)",
    "published": "PUBLISHED (no intervals were printed)",
    "blind": "NO MODEL AT ALL: answers that never look at the image, scored by the published rule",
}
_HONEST = {metric.name for metric in METRICS if not metric.is_published}

Table = list[list[str]]


def compared_text(compared: Compared, *, markdown: bool = False) -> str:
    """A comparison as text: the paired figures first, then the table beside published rows."""
    show = _markdown_table if markdown else _plain_table
    parts = [_paired(one, show=show, markdown=markdown) for one in compared.comparisons]
    parts.append(_beside(compared.beside, show=show, markdown=markdown))
    parts.append(_legend(compared, markdown=markdown))
    return "\n\n".join(parts)


def _title(text: str, *, markdown: bool) -> str:
    return f"## {text}" if markdown else text


def _paired(one: Comparison, *, show: Callable[[Table], str], markdown: bool) -> str:
    title = f"{one.other} against {one.reference}, question by question"
    lines = [_title(title, markdown=markdown), ""]
    if one.are_identical:
        sentence = (
            f"The predictions are identical: all {one.num_samples} answers of {one.other} are "
            f"those of {one.reference}, letter by letter."
        )
        return "\n".join([*lines, sentence])
    lines += _wrapped(
        f"{one.num_samples} questions in {one.num_groups} clusters (images or patients). "
        f"The same answer once normalized: {one.num_same_words} "
        f"({100 * one.num_same_words / one.num_samples:.1f} %); letter by letter: "
        f"{one.num_same_text}."
    )
    lines += ["", *_closed(one, show=show), show(_difference_rows(one)), ""]
    lines += _wrapped(
        "Points: difference in percentage points, with the 95 % interval of the paired cluster "
        "bootstrap. Other sign: share of resamples in which the difference is nought or has the "
        "other sign; it says how steady the sign is and is not a p-value."
    )
    return "\n".join(lines)


def _closed(one: Comparison, *, show: Callable[[Table], str]) -> list[str]:
    if one.closed is None or one.test is None:
        return []
    counts = one.closed
    table = [
        ["closed questions (closed_accuracy)", f"{one.other} right", f"{one.other} wrong"],
        [f"{one.reference} right", str(counts.both_right), str(counts.only_reference)],
        [f"{one.reference} wrong", str(counts.only_other), str(counts.both_wrong)],
    ]
    holm = "" if one.holm is None else f"; Holm-adjusted {_p_values(one.holm)}"
    return [
        show(table),
        "",
        *_wrapped(
            f"McNemar's test, two-sided: {_p_values(one.test)}{holm}. It takes questions as "
            "independent, though several are about one image; the interval of closed_accuracy "
            "below resamples whole images, so trust it where the two disagree."
        ),
        "",
    ]


def _p_values(test: McNemar) -> str:
    return f"exact p {_p_value(test.exact_p)}, mid-p {_p_value(test.mid_p)}"


def _p_value(value: float) -> str:
    return f"< {_LEAST_P}" if value < _LEAST_P else f"= {value:.4f}"


def _difference_rows(one: Comparison) -> Table:
    head = ["percent", one.reference, one.other, "points [95 % interval]", "other sign", "n"]
    return [head, *map(_difference_row, one.differences)]


def _difference_row(one: Difference) -> list[str]:
    low, high = one.interval
    share = one.other_sign_share
    return [
        one.metric + (" (honest)" if one.metric in _HONEST else " (published)"),
        f"{100 * one.reference:.1f}",
        f"{100 * one.other:.1f}",
        f"{100 * one.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]",
        "no difference" if share is None else f"{100 * share:.1f} %",
        str(one.num_samples),
    ]


def _beside(beside: Beside, *, show: Callable[[Table], str], markdown: bool) -> str:
    numbers: dict[str, int] = {}
    sections: list[tuple[str, list[Row]]] = [
        (_HEADINGS[kind], list(rows))
        for kind, rows in groupby(beside.rows, key=lambda row: row.kind.replace("control", "run"))
    ]
    table = _head(markdown=markdown)
    for heading, rows in sections:
        table.append([heading])
        for row in rows:
            table += _lines_of(row, numbers, markdown=markdown)
    title = (
        f"{beside.title}: {beside.num_open} open and {beside.num_closed} closed questions, "
        "beside published figures"
    )
    lines = [_title(title, markdown=markdown), "", show(table), ""]
    for text, number in numbers.items():
        lines += _wrapped(text, mark=f"{number}. " if markdown else f"[{number}] ")
    return "\n".join(lines)


def _head(*, markdown: bool) -> Table:
    last = ["scorer", "test", "train", "notes"]
    if markdown:
        return [["percent", *(", ".join(words) for words in COLUMNS.values()), *last]]
    above = ["", *(first for first, _ in COLUMNS.values()), "", "", "", ""]
    return [above, ["percent", *(second for _, second in COLUMNS.values()), *last]]


def _lines_of(row: Row, numbers: dict[str, int], *, markdown: bool) -> Table:
    """The lines of one row: on a terminal intervals stand below their figures."""
    cells = [row.cells.get(metric) for metric in COLUMNS]
    missing = "" if row.kind == "control" else NOT_REPORTED
    figures = [missing if cell is None else cell.shown for cell in cells]
    intervals = ["" if cell is None else _interval(cell) for cell in cells]
    if markdown:
        figures = [f"{a} {b}".strip() for a, b in zip(figures, intervals, strict=True)]
    marks = ",".join(str(numbers.setdefault(note, 1 + len(numbers))) for note in row.notes)
    is_control = row.kind == "control"
    line = [
        ("  " if is_control else "") + row.name,
        *figures,
        row.scorer,
        row.test + (" ≠" if row.is_other_test else ""),
        "" if is_control else (row.train or "?") + (" ≠" if row.is_other_train else ""),
        marks,
    ]
    return [line] if markdown or not any(intervals) else [line, ["", *intervals, "", "", "", ""]]


def _interval(cell: Cell) -> str:
    if cell.interval is None:
        return ""
    return "[{:.1f}, {:.1f}]".format(*cell.interval)


def _legend(compared: Compared, *, markdown: bool) -> str:
    rows = compared.beside.rows
    first = rows[0].name
    lines = [_title("How to read it", markdown=markdown), ""]
    texts = []
    if any(row.is_other_test or row.is_other_train for row in rows):
        texts.append(f"≠: not the split of {first}. Figures of different splits do not compare.")
    if any(row.train is None and row.kind != "control" for row in rows):
        texts.append("?: the train split is not known, so whether it differs is not known either.")
    texts += [f"Scorer {one.name}: {one.code}; {one.rule}." for one in compared.scorers]
    texts += [*compared.beside.notes, *compared.notes, NOTICE]
    for text in texts:
        lines += _wrapped(text, mark="- ") if markdown else _wrapped(text)
    return "\n".join(lines)


def _wrapped(text: str, *, mark: str = "") -> list[str]:
    return wrap(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_on_hyphens=False,
        break_long_words=False,
    )


def _plain_table(table: Table) -> str:
    """Columns side by side; a row of one cell is a heading."""
    whole = [row for row in table if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    lines = []
    for row in table:
        if len(row) == 1:
            lines += ["", row[0]]
            continue
        name, *cells = row
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)


def _markdown_table(table: Table) -> str:
    head, *rows = table
    lines = [_markdown_row(head), _markdown_row(["---"] + ["---:"] * (len(head) - 1))]
    lines += [
        _markdown_row(row if len(row) > 1 else [f"**{row[0]}**", *[""] * (len(head) - 1)])
        for row in rows
    ]
    return "\n".join(lines)


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"
