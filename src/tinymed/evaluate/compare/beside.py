"""Runs and published figures as rows of one table, each with its scorer and split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tinymed.evaluate.compare.answers import Answers, AnswerSet
from tinymed.evaluate.report.report import HEADINGS
from tinymed.published.rows import (
    UNKNOWN,
    KnownSplit,
    PublishedRow,
    datasets,
    known_split,
    published_rows,
    scorers,
)
from tinymed.records import Score

NO_ROWS = "none"
COLUMNS = {
    "llava_med_open_recall": ("open", "published"),
    "llava_med_closed_published": ("closed", "published"),
    "open_exact_match": ("open", "exact match"),
    "closed_accuracy": ("closed", "honest"),
}
"""The columns of the table: two published metrics, and the honest one beside each."""
OUR_SCORER = "batch"
_SAME_PERCENT = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One figure; a row lacks the cells that nothing is known for."""

    percent: float
    shown: str
    """The percent as printed by its source, or with one decimal."""
    interval: tuple[float, float] | None = None
    """95 %, in percent; published rows have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    kind: str
    """"run", "control" (of the run above it), "published" or "blind"."""
    name: str
    cells: Mapping[str, Cell]
    """By the metric of COLUMNS."""
    scorer: str = ""
    test: str = ""
    train: str | None = None
    """None where it is not known."""
    is_other_test: bool = False
    """Whether its test questions are not those of the first run."""
    is_other_train: bool = False
    """Whether its train split is not that of the first run; False where either is unknown."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Runs beside the published rows of one data set."""

    title: str
    """Data set, split and number of questions."""
    num_open: int
    num_closed: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    """What a reader must know before comparing rows."""


def beside_published(found: AnswerSet, *, dataset: str | None = None) -> Beside:
    """Put runs into one table with the published rows of their data set.

    Rows of another split stay in the table and are marked.

    Args:
        found: The runs; the first decides what "another split" means.
        dataset: A name of `datasets`, or "none" for no published rows; None takes the data
            set whose split has the samples' digest.

    Raises:
        ConfigError: If nothing was published here for a data set of this name.
    """
    split = known_split(found.samples_sha256)
    notes = _notes_on_the_data_set(found, split, dataset)
    if dataset is None:
        dataset = split.dataset if split else NO_ROWS
    published = () if dataset == NO_ROWS else published_rows(dataset)
    own_dataset = split.dataset if split else dataset
    test, is_test = _test_split(found, split, dataset)
    rows = [
        row
        for each in found.answers
        for row in _run_rows(each, test=test, train=_train_split(each, own_dataset))
    ]
    rows += [_published_row(one, is_test=is_test) for one in published]
    for each in found.answers:
        notes += [f"{each.label}: {warning}" for warning in each.warnings]
    num_open, num_closed = _num_questions(found)
    title = found.samples_name if own_dataset == NO_ROWS else datasets()[own_dataset].title
    return Beside(
        title=title if title == test else f"{title}, {test}",
        num_open=num_open,
        num_closed=num_closed,
        rows=tuple(_marked(row, rows[0].train) for row in rows),
        notes=tuple(notes),
    )


def _notes_on_the_data_set(
    found: AnswerSet, split: KnownSplit | None, dataset: str | None
) -> list[str]:
    if dataset is None and split is None:
        sentence = (
            f"No published rows: the samples ({found.samples_name}) are of no split known by "
            f"its digest. Name the data set with --published {'|'.join(datasets())}."
        )
        return [sentence]
    if split and dataset not in (None, NO_ROWS, split.dataset):
        sentence = (
            f"The samples are of {split.dataset}, the published rows of {dataset}: "
            "no two figures compare."
        )
        return [sentence]
    return []


def _num_questions(found: AnswerSet) -> tuple[int, int]:
    types = [pair.sample.answer_type for pair in found.answers[0].pairs]
    return types.count("open"), types.count("closed")


def _test_split(found: AnswerSet, split: KnownSplit | None, dataset: str) -> tuple[str, bool]:
    """What to call the split that the runs answered, and whether it is the published one."""
    first = "" if found.limit is None else f", first {found.limit}"
    if split is not None:
        return split.split + first, (split.dataset, split.split + first) == (dataset, "test")
    if dataset != NO_ROWS:
        published = datasets()[dataset]
        if _num_questions(found) == (published.num_open, published.num_closed):
            return "test (by its counts)", True
    return found.samples_name + first, False


def _train_split(answers: Answers, dataset: str) -> str | None:
    split = known_split((answers.run or {}).get("train_sha256"))
    if split is None:
        return None
    return split.split if split.dataset == dataset else f"{split.dataset} {split.split}"


def _run_rows(answers: Answers, *, test: str, train: str | None) -> list[Row]:
    own = _by_metric(answers.conditions["model"])
    row = Row(
        kind="run",
        name=answers.label,
        cells={metric: _cell(own[metric]) for metric in COLUMNS if metric in own},
        scorer=OUR_SCORER,
        test=test,
        train=train,
        notes=_run_notes(answers, own),
    )
    return [row, *_best_controls(answers.conditions)]


def _by_metric(scores: Sequence[Score]) -> dict[str, Score]:
    """Scores over whole subsets; those over a modality or the like are left out."""
    return {one.metric: one for one in scores if "=" not in one.subset}


def _cell(score: Score) -> Cell:
    low, high = score.interval
    percent = 100 * score.value
    return Cell(percent=percent, shown=f"{percent:.1f}", interval=(100 * low, 100 * high))


def _run_notes(answers: Answers, own: Mapping[str, Score]) -> tuple[str, ...]:
    notes = []
    run = answers.run
    if run is None:
        notes.append("predictions made elsewhere: training, decoding and controls not known")
    else:
        notes.append(
            f"{run['engine']}, decoding {run['decoding']}; train split as named by --train "
            f"({run['train'] or 'none named'}), weights sha256 {run['weights_sha256'][:12]}"
        )
    for scorer in scorers().values():
        score = own.get(scorer.closed_metric or "")
        ours = own.get("llava_med_closed_published")
        if score and ours and abs(score.value - ours.value) >= _SAME_PERCENT:
            notes.append(f"closed by the rule of {scorer.name}: {100 * score.value:.1f}")
    return tuple(notes)


def _best_controls(conditions: Mapping[str, Sequence[Score]]) -> list[Row]:
    """For each column the control that comes highest, in one row a control."""
    blind = {name: _by_metric(scores) for name, scores in conditions.items() if name != "model"}
    best: dict[str, dict[str, Cell]] = {}
    for metric in COLUMNS:
        measured = {name: own[metric] for name, own in blind.items() if metric in own}
        if measured:
            name = max(measured, key=lambda one: measured[one].value)
            best.setdefault(name, {})[metric] = _cell(measured[name])
    return [
        Row(kind="control", name=f"blind: {HEADINGS.get(name, name)}", cells=cells)
        for name, cells in best.items()
    ]


def _published_row(row: PublishedRow, *, is_test: bool) -> Row:
    figures = {"llava_med_open_recall": row.open, "llava_med_closed_published": row.closed}
    made = row.source + ("" if row.decoding is None else f"; decoding: {row.decoding}")
    return Row(
        kind="blind" if row.is_blind else "published",
        name=", ".join(filter(None, (row.system, row.parameters))),
        cells={
            name: Cell(percent=float(printed), shown=printed)
            for name, printed in figures.items()
            if printed is not None
        },
        scorer=row.scorer,
        test=row.test_split,
        train=None if row.train_split == UNKNOWN else row.train_split,
        is_other_test=not is_test,
        notes=tuple(filter(None, (made, f"training: {row.training}", "; ".join(row.remarks)))),
    )


def _marked(row: Row, own_train: str | None) -> Row:
    is_other = None not in (row.train, own_train) and row.train != own_train
    return replace(row, is_other_train=is_other)
