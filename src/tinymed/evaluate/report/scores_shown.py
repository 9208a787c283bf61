"""The scores as tables: against the controls, all metrics, and part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinymed.evaluate.report.against_controls import best_control, is_beaten
from tinymed.evaluate.report.figures import (
    FEW_SAMPLES,
    MODEL,
    conditions_of,
    find_scores,
    heading,
    interval,
    mark,
    percent,
    score_cell,
)
from tinymed.evaluate.report.metric_notes import metric_note, standing
from tinymed.evaluate.report.report import Report
from tinymed.pages.document import (
    Block,
    Cell,
    Column,
    Mark,
    Note,
    Row,
    RowGroup,
    Section,
    Table,
)
from tinymed.records import Score

_NOT_BEATEN = "≈"
_NOT_BEATEN_REMARK = (
    f"{_NOT_BEATEN} marks a control that the model is not shown to beat: the 95 % interval of "
    "the paired difference reaches nought."
)
_SUBSETS = {"all": "All questions", "closed": "Closed questions", "open": "Open questions"}
_STANDINGS = {
    "honest": "honest",
    "published": "as published tables count",
    "overlap": "overlap of text, as papers report it",
}
_BESIDE_RECALL = {"exact match": "open_exact_match", "F1": "open_token_f1"}
_DIMENSIONS = {
    "modality": "Modality",
    "body_part": "Body part",
    "question_type": "Question type",
    "image_in_train": "Whether train holds the image",
}


def comparison_section(report: Report) -> Section | None:
    """The model against each control, on closed and on open questions."""
    tables = tuple(
        _comparison(report, metric, caption)
        for metric, caption in (
            ("closed_accuracy", "Closed questions ({n}): answered rightly, percent"),
            ("open_recall", "Open questions ({n}): reference's words found, percent"),
        )
        if MODEL in find_scores(report, metric)
    )
    if not tables:
        return None
    return Section(id="controls", title="Against answers that do not see the image", blocks=tables)


def _comparison(report: Report, metric: str, caption: str) -> Table:
    rows = tuple(
        Row(
            cells=(
                Cell(text=heading(condition), is_strong=condition == MODEL),
                Cell(marks=(mark(score, is_model=condition == MODEL),)),
                Cell(
                    text=percent(score.value),
                    detail=interval(score),
                    is_strong=condition == MODEL,
                ),
            )
        )
        for condition, score in find_scores(report, metric).items()
    )
    num_samples = find_scores(report, metric)[MODEL].num_samples
    columns = (Column(title="answer by", kind="text"), Column(title="plot", kind="plot"))
    return Table(
        caption=caption.format(n=num_samples),
        columns=(*columns, Column(title="percent [95\N{NO-BREAK SPACE}%]")),
        groups=(RowGroup(rows=rows),),
    )


def metrics_section(report: Report) -> Section:
    """Every metric over all that it judges, honest and published side by side."""
    conditions = conditions_of(report)
    by_metric = _headline_metrics(report)
    numbers = {metric: number for number, metric in enumerate(by_metric, start=1)}
    groups: dict[str, list[Row]] = {}
    for metric, scores in by_metric.items():
        subset = next(iter(scores.values())).subset
        title = f"{_SUBSETS.get(subset, subset)}, {_STANDINGS[standing(metric)]}"
        row = _metric_row(report, metric, scores, note=numbers[metric])
        groups.setdefault(title, []).append(row)
    unparsed = Column(title="unparsed")
    table = Table(
        caption="Percent with its 95 % interval; n and unparsed answers are the model's",
        columns=(
            Column(title="metric", kind="text"),
            *(Column(title=heading(condition)) for condition in conditions),
            Column(title="n"),
            unparsed,
        ),
        groups=tuple(RowGroup(title=title, rows=tuple(rows)) for title, rows in groups.items()),
        notes=tuple(_note(metric, number) for metric, number in numbers.items()),
        remarks=(_NOT_BEATEN_REMARK,) if len(conditions) > 1 else (),
    )
    return Section(id="scores", title="All scores", blocks=(table,))


def _headline_metrics(report: Report) -> dict[str, dict[str, Score]]:
    """Metrics in reading order: what all, closed and open questions are judged by, honest first."""
    names = dict.fromkeys(
        score.metric
        for scores in report.conditions.values()
        for score in scores
        if score.subset in _SUBSETS
    )
    found = {name: find_scores(report, name) for name in names}

    def place(name: str) -> tuple[int, int]:
        subset = next(iter(found[name].values())).subset
        return list(_SUBSETS).index(subset), list(_STANDINGS).index(standing(name))

    return {name: found[name] for name in sorted(found, key=place)}


def _note(metric: str, number: int) -> Note:
    words = metric_note(metric)
    return Note(number=number, name=metric, text=words.counts, defect=words.defect)


def _metric_row(report: Report, metric: str, scores: Mapping[str, Score], *, note: int) -> Row:
    model = scores.get(MODEL)
    cells = [Cell(text=metric_note(metric).title, detail=metric, note=note)]
    cells += [_condition_cell(report, name, scores) for name in conditions_of(report)]
    cells += [
        Cell(text="–" if model is None else str(model.num_samples)),
        Cell(text="–" if model is None else _unparsed(metric, model)),
    ]
    return Row(cells=tuple(cells))


def _unparsed(metric: str, model: Score) -> str:
    # Published metrics know no unparsed answer: what they cannot judge they drop or call wrong.
    return "" if standing(metric) == "published" else str(model.num_unparsed)


def _condition_cell(report: Report, condition: str, scores: Mapping[str, Score]) -> Cell:
    score, model = scores.get(condition), scores.get(MODEL)
    if score is None or model is None or condition == MODEL:
        return score_cell(score, is_strong=condition == MODEL)
    sign = "" if is_beaten(report.gain(condition, score)) else f"{_NOT_BEATEN} "
    # Some published metrics drop answers, and then not as many of every condition.
    n = (
        ""
        if score.num_samples == model.num_samples
        else f" n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{score.num_samples}"
    )
    return Cell(text=sign + percent(score.value), detail=interval(score) + n)


def parts_sections(report: Report) -> list[Section]:
    """Closed accuracy and open recall by modality, by body part and by type of question."""
    sections = []
    for dimension, title in _dimensions(report).items():
        blocks: list[Block] = []
        closed = _parts(report, dimension, "closed_accuracy")
        if closed:
            blocks.append(
                _parts_table(
                    report, f"Closed questions by {title.lower()}: accuracy, percent", closed
                )
            )
        found = _parts(report, dimension, "open_recall")
        if found:
            blocks.append(
                _parts_table(
                    report,
                    f"Open questions by {title.lower()}: recall of words, percent",
                    found,
                    beside={
                        name: _parts(report, dimension, metric)
                        for name, metric in _BESIDE_RECALL.items()
                    },
                )
            )
        if blocks:
            name = dimension.replace("_", "-")
            sections.append(
                Section(id=f"by-{name}", title=f"By {title.lower()}", blocks=(*blocks,))
            )
    return sections


def _dimensions(report: Report) -> dict[str, str]:
    names = dict.fromkeys(
        score.subset.partition("=")[0]
        for scores in report.conditions.values()
        for score in scores
        if "=" in score.subset
    )
    known = [name for name in _DIMENSIONS if name in names]
    others = [name for name in names if name not in _DIMENSIONS]
    return {name: _DIMENSIONS.get(name, name.replace("_", " ")) for name in (*known, *others)}


def _parts(report: Report, dimension: str, metric: str) -> dict[str, dict[str, Score]]:
    """Scores by condition of every part of a dimension, the part with most samples first."""
    subsets = dict.fromkeys(
        score.subset
        for score in report.conditions.get(MODEL, ())
        if score.metric == metric and score.subset.partition("=")[::2][0] == dimension
    )
    parts = {
        subset.partition("=")[2]: find_scores(report, metric, subset)
        for subset in subsets
        if "=" in subset
    }
    return dict(sorted(parts.items(), key=lambda part: -part[1][MODEL].num_samples))


def _parts_table(
    report: Report,
    caption: str,
    parts: Mapping[str, Mapping[str, Score]],
    *,
    beside: Mapping[str, Mapping[str, Mapping[str, Score]]] | None = None,
) -> Table:
    beside = beside or {}
    has_controls = any(best_control(scores) for scores in parts.values())
    columns = [
        Column(title="", kind="text"),
        Column(title="n"),
        Column(title="plot", kind="plot"),
        Column(title="model"),
        *([Column(title="best control")] if has_controls else []),
        *(Column(title=title) for title in beside),
    ]
    rows = []
    for part, scores in parts.items():
        more = [score_cell(found.get(part, {}).get(MODEL)) for found in beside.values()]
        rows.append(_part_row(report, part, scores, more, has_controls=has_controls))
    remarks = []
    if has_controls:
        remarks.append(f"Filled dot: the model; hollow dot: its best control. {_NOT_BEATEN_REMARK}")
    if any(row.is_muted for row in rows):
        remarks.append(f"† Fewer than {FEW_SAMPLES} questions: too few to tell.")
    return Table(
        caption=caption,
        columns=tuple(columns),
        groups=(RowGroup(rows=tuple(rows)),),
        remarks=(" ".join(remarks),) if remarks else (),
    )


def _part_row(
    report: Report,
    part: str,
    scores: Mapping[str, Score],
    more: Sequence[Cell],
    *,
    has_controls: bool,
) -> Row:
    model = scores[MODEL]
    best = best_control(scores)
    is_few = model.num_samples < FEW_SAMPLES
    marks: tuple[Mark, ...] = (mark(model, is_model=True),)
    control = Cell(text="–")
    if best is not None:
        name, score = best
        marks = (*marks, mark(score, is_model=False))
        sign = "" if is_beaten(report.gain(name, score)) else f"{_NOT_BEATEN} "
        control = Cell(
            text=sign + percent(score.value), detail=f"{interval(score)} {heading(name)}"
        )
    return Row(
        cells=(
            Cell(text=part + ("\N{NO-BREAK SPACE}†" if is_few else "")),
            Cell(text=str(model.num_samples)),
            Cell(marks=marks),
            score_cell(model, is_strong=True),
            *((control,) if has_controls else ()),
            *more,
        ),
        is_muted=is_few,
    )
