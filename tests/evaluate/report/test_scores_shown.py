"""The tables of scores."""

from __future__ import annotations

from made_up_run import MEAN, made_up, made_up_report

from tinymed.evaluate.metrics.table import METRICS, overlap_metrics
from tinymed.evaluate.report.metric_notes import METRIC_NOTES, standing
from tinymed.evaluate.report.report import HEADINGS
from tinymed.evaluate.report.scores_shown import (
    comparison_section,
    metrics_section,
    parts_sections,
)
from tinymed.pages.document import Row, Table


def only_table(section: object) -> Table:
    (block,) = section.blocks  # type: ignore[attr-defined]
    assert isinstance(block, Table)
    return block


def rows_of(table: Table) -> dict[str, Row]:
    return {
        row.cells[0].detail or row.cells[0].text: row
        for group in table.groups
        for row in group.rows
    }


def test_every_metric_has_its_words_and_every_published_one_its_defect() -> None:
    names = [metric.name for metric in (*METRICS, *overlap_metrics())]
    names += ["llava_med_open_candidate", *(f"open_bleu_{order}" for order in range(1, 5))]
    assert set(names) == set(METRIC_NOTES)
    assert all(note.defect for name, note in METRIC_NOTES.items() if standing(name) != "honest")


def test_honest_and_published_figures_of_the_same_questions_stand_together() -> None:
    table = only_table(metrics_section(made_up_report()))
    assert [group.title for group in table.groups] == [
        "All questions, honest",
        "Closed questions, honest",
        "Closed questions, as published tables count",
        "Open questions, honest",
        "Open questions, as published tables count",
        "Open questions, overlap of text, as papers report it",
    ]
    assert [column.title for column in table.columns] == [
        "metric",
        *HEADINGS.values(),
        "n",
        "unparsed",
    ]


def test_every_row_has_a_footnote_that_is_there() -> None:
    table = only_table(metrics_section(made_up_report()))
    numbers = [row.cells[0].note for row in rows_of(table).values()]
    assert numbers == [note.number for note in table.notes] == list(range(1, len(numbers) + 1))


def test_a_row_holds_percent_interval_n_and_unparsed() -> None:
    row = rows_of(only_table(metrics_section(made_up_report())))["closed_accuracy"]
    assert (row.cells[1].text, row.cells[1].detail) == ("70.0", "[65.0,\xa075.0]")
    assert [cell.text for cell in row.cells[-2:]] == ["100", "3"]


def test_a_published_metric_has_no_unparsed_answers() -> None:
    row = rows_of(only_table(metrics_section(made_up_report())))["llava_med_closed_published"]
    assert row.cells[-1].text == ""


def test_a_control_that_is_not_beaten_is_marked() -> None:
    row = rows_of(only_table(metrics_section(made_up_report())))["closed_accuracy"]
    signs = [cell.text.startswith("≈ ") for cell in row.cells[2:8]]
    # 66, 62 and 58 reach the model's 65 with their upper bounds of 71, 67 and 63: two do.
    assert signs == [True, True, False, False, False, False]


def test_a_controls_own_n_is_shown_where_it_differs() -> None:
    rows = rows_of(only_table(metrics_section(made_up_report())))
    dropped = rows["llava_med_closed_run_eval_before_fix"].cells
    assert dropped[2].detail == "[61.0,\xa071.0] n\xa0=\xa066"
    assert dropped[-2].text == "70"
    assert "n" not in rows["closed_accuracy"].cells[2].detail


def test_a_metric_that_a_control_lacks_leaves_a_dash() -> None:
    conditions = {"model": [made_up("closed_accuracy", 0.7)], "blank": []}
    row = rows_of(only_table(metrics_section(made_up_report(conditions))))["closed_accuracy"]
    assert row.cells[2].text == "–"


def test_the_model_is_compared_with_every_control_on_closed_and_on_open_questions() -> None:
    section = comparison_section(made_up_report())
    assert section is not None
    closed, opened = section.blocks
    assert isinstance(closed, Table)
    assert isinstance(opened, Table)
    assert closed.caption == "Closed questions (100): answered rightly, percent"
    assert list(rows_of(closed)) == list(HEADINGS.values())
    assert [row.cells[1].marks[0].is_model for row in rows_of(opened).values()] == [
        True,
        *[False] * 6,
    ]


def test_without_the_two_metrics_there_is_no_comparison() -> None:
    conditions = {"model": [made_up("accuracy", 0.7, subset="all")]}
    assert comparison_section(made_up_report(conditions)) is None


def test_parts_stand_by_dimension_with_the_largest_first() -> None:
    modality, body_part = parts_sections(made_up_report())
    assert (modality.title, body_part.title) == ("By modality", "By body part")
    closed, opened = modality.blocks
    assert isinstance(closed, Table)
    assert isinstance(opened, Table)
    assert list(rows_of(closed)) == ["CT", "MRI\xa0†"]
    assert [column.title for column in opened.columns][-3:] == ["best control", "exact match", "F1"]
    (unsafe,) = body_part.blocks[:1]
    assert isinstance(unsafe, Table)
    assert list(rows_of(unsafe)) == [f"{MEAN}\xa0†"]


def test_a_part_of_few_questions_is_greyed_and_marked() -> None:
    table = parts_sections(made_up_report())[0].blocks[0]
    assert isinstance(table, Table)
    assert {name: row.is_muted for name, row in rows_of(table).items()} == {
        "CT": False,
        "MRI\xa0†": True,
    }
    assert "† Fewer than 20 questions: too few to tell." in table.remarks[0]


def test_a_part_names_its_best_control() -> None:
    table = parts_sections(made_up_report())[0].blocks[0]
    assert isinstance(table, Table)
    cell = rows_of(table)["CT"].cells[4]
    assert (cell.text, cell.detail) == ("≈ 66.0", "[61.0,\xa071.0] always yes")


def test_without_controls_no_column_is_empty() -> None:
    report = made_up_report({"model": [made_up("closed_accuracy", 0.7, subset="modality=CT")]})
    table = parts_sections(report)[0].blocks[0]
    assert isinstance(table, Table)
    assert [column.title for column in table.columns] == ["", "n", "plot", "model"]


def test_a_report_without_parts_has_no_sections_of_them() -> None:
    assert parts_sections(made_up_report({"model": [made_up("closed_accuracy", 0.7)]})) == []
