"""Runs against each other and beside published rows, from folders to text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from finished_runs import QUESTIONS, answered, samples_of, write_predictions, write_run

from tinymed.cli.evaluate.compare import compare as command
from tinymed.errors import ConfigError, DataError
from tinymed.evaluate.compare.beside import Row
from tinymed.evaluate.compare.compare import Compared, compare_runs, compared_json
from tinymed.evaluate.compare.text import WIDTH, compared_text
from tinymed.jsonl import write_samples
from tinymed.published.rows import published_rows
from tinymed.records import NOTICE, Prediction, Sample

SAMPLES = samples_of(20)
NUM = len(SAMPLES)
FIRST = answered(SAMPLES, [place % 3 != 0 for place in range(NUM)])
SECOND = answered(SAMPLES, [place % 4 != 0 for place in range(NUM)])


def call(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(one) for one in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def rows_of(compared: Compared, kind: str) -> list[Row]:
    return [row for row in compared.beside.rows if row.kind == kind]


def counted(num_open: int, num_closed: int) -> list[Sample]:
    """As many questions as a published test split has, though not its own."""
    types = [QUESTIONS[2]] * num_open + [QUESTIONS[0]] * num_closed
    return [
        Sample(id=str(place), question=question, reference=reference, answer_type=answer_type)
        for place, (question, reference, answer_type) in enumerate(types)
    ]


def test_two_runs_are_compared_question_by_question(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "before", SAMPLES, FIRST),
        write_run(tmp_path, "after", SAMPLES, SECOND),
    ]
    (found,) = compare_runs(runs).comparisons
    assert (found.reference, found.other) == ("before", "after")
    assert (found.num_samples, found.num_groups) == (60, 20)
    assert found.closed is not None
    assert sum((found.closed.both_right, found.closed.only_reference)) == 20
    text = call(*runs)
    assert "McNemar's test, two-sided: exact p" in text
    assert "after against before, question by question" in text
    assert text.endswith(NOTICE + "\n")


def test_identical_predictions_are_said_to_be_identical(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "one", SAMPLES, FIRST), write_run(tmp_path, "two", SAMPLES, FIRST)]
    assert "The predictions are identical: all 60 answers" in call(*runs)


def test_runs_over_other_samples_are_refused(tmp_path: Path) -> None:
    fewer = SAMPLES[:30]
    runs = [
        write_run(tmp_path, "one", SAMPLES, FIRST),
        write_run(tmp_path, "two", fewer, FIRST[:30]),
    ]
    with pytest.raises(DataError, match=r"two' answered other samples than .*one'"):
        compare_runs(runs)


def test_runs_with_other_limits_are_refused(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "one", SAMPLES, FIRST),
        write_run(tmp_path, "two", SAMPLES, FIRST[:9], limit=9),
    ]
    with pytest.raises(DataError, match=r"two' answered the first 9 samples and .* all samples"):
        compare_runs(runs)


def test_limited_runs_compare_what_both_answered(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "one", SAMPLES, FIRST[:9], limit=9),
        write_run(tmp_path, "two", SAMPLES, SECOND[:9], limit=9),
    ]
    found = compare_runs(runs)
    assert found.comparisons[0].num_samples == 9
    assert "test.jsonl, first 9" in found.beside.title
    write_samples(tmp_path / "whole.jsonl", SAMPLES)
    assert compare_runs(runs, samples=tmp_path / "whole.jsonl") == found


def test_a_folder_without_its_samples_needs_them_named(tmp_path: Path) -> None:
    run = write_run(tmp_path, "old", SAMPLES, FIRST)
    (run / "samples.jsonl").rename(tmp_path / "named.jsonl")
    with pytest.raises(DataError, match=r"keeps no samples\.jsonl.*--samples"):
        compare_runs([run])
    assert compare_runs([run], samples=tmp_path / "named.jsonl").beside.num_closed == 40
    write_samples(tmp_path / "other.jsonl", SAMPLES[1:])
    with pytest.raises(DataError, match=r"is not what '.*old' answered"):
        compare_runs([run], samples=tmp_path / "other.jsonl")


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path, "killed", SAMPLES, FIRST)
    (run / "scores.json").unlink()
    with pytest.raises(DataError, match="its run is not finished"):
        compare_runs([run])


def test_predictions_made_anywhere_are_compared_with_samples(tmp_path: Path) -> None:
    write_samples(tmp_path / "test.jsonl", SAMPLES)
    paths = [
        write_predictions(tmp_path / "a.jsonl", FIRST),
        write_predictions(tmp_path / "b.jsonl", list(reversed(SECOND))),
    ]
    with pytest.raises(DataError, match="predictions without their questions"):
        compare_runs(paths)
    found = json.loads(call("--samples", tmp_path / "test.jsonl", *paths, "--json"))
    assert [(one["reference"], one["other"]) for one in found["comparisons"]] == [("a", "b")]
    assert [row["name"] for row in found["table"]["rows"]] == ["a", "b"]
    write_predictions(paths[1], SECOND[1:])
    with pytest.raises(DataError, match=r"b\.jsonl': Predictions do not match.* no prediction"):
        compare_runs(paths, samples=tmp_path / "test.jsonl")


def test_runs_of_one_model_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, name, SAMPLES, FIRST, model="nano") for name in ("f32", "int8")]
    labels = [row.name for row in rows_of(compare_runs(runs), "run")]
    assert labels == ["nano (f32)", "nano (int8)"]
    assert len({row.name for row in rows_of(compare_runs([runs[0], runs[0]]), "run")}) == 2


def test_what_differs_between_two_runs_is_said(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "one", SAMPLES, FIRST, model="nano", engine="torch"),
        write_run(tmp_path, "two", SAMPLES, FIRST, model="nano", max_new_tokens=8),
    ]
    (note,) = compare_runs(runs).notes
    assert "engine ('torch', 'openvino'), max_new_tokens (64, 8)." in note
    again = write_run(tmp_path, "three", SAMPLES, FIRST, model="nano", engine="torch")
    assert "nothing that run.json records" in compare_runs([runs[0], again]).notes[0]


def test_scores_that_the_predictions_no_longer_give_are_told(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "one", SAMPLES, FIRST), write_run(tmp_path, "two", SAMPLES, SECOND)]
    assert not any("scores.json" in note for note in compare_runs(runs).notes)
    write_predictions(runs[1] / "predictions.jsonl", FIRST)
    (note,) = [note for note in compare_runs(runs).notes if "scores.json" in note]
    assert note.startswith("two: its scores.json gives another accuracy, closed_accuracy")


def test_the_best_control_of_each_column_stands_below_its_run(tmp_path: Path) -> None:
    yes = [Prediction(id=one.id, text="yes") for one in SAMPLES]
    open_only = answered(SAMPLES, [one.answer_type == "open" for one in SAMPLES])
    run = write_run(
        tmp_path,
        "nano",
        SAMPLES,
        FIRST,
        controls={"question-only": open_only, "blank": yes},
        warnings=("!",),
    )
    found = compare_runs([run])
    assert [row.kind for row in found.beside.rows] == ["run", "control", "control"]
    controls = {row.name: row.cells for row in rows_of(found, "control")}
    assert controls["blind: question only"]["open_exact_match"].shown == "100.0"
    assert controls["blind: image blanked"]["closed_accuracy"].percent == 50.0
    assert "closed_accuracy" not in controls["blind: question only"]
    assert "nano: !" in found.beside.notes
    assert "[50.0, 50.0]" in compared_text(found)


def test_published_rows_are_shown_on_demand_and_marked(tmp_path: Path) -> None:
    run = write_run(tmp_path, "nano", SAMPLES, FIRST)
    silent = compare_runs([run])
    assert not rows_of(silent, "published")
    assert "--published vqa-rad|slake|pathvqa" in silent.beside.notes[0]
    found = compare_runs([run], dataset="vqa-rad")
    shown = rows_of(found, "published") + rows_of(found, "blind")
    assert len(shown) == len(published_rows("vqa-rad"))
    assert all(row.is_other_test for row in shown)
    assert not any(row.is_other_train for row in shown)
    assert not rows_of(compare_runs([run], dataset="none"), "published")
    with pytest.raises(ConfigError, match="No published rows for 'mimic'"):
        compare_runs([run], dataset="mimic")


RAD_TEST = "94774a25d4e0acd4d66018f4843714cd7b1cabbbaf72959cf7d23d9fa32daffb"
RAD_1797 = "7cf3f46e8fdffab9225261943aba2d9cc2fbf3ce17732aedd13c6b83d5189447"
RAD_3064 = "39a6102327b38bc1c02883c914d82b206dcc31257df2fe4aa18c169b5a2c0360"


@pytest.fixture
def as_rad_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes any samples for VQA-RAD's, which this test must not hold."""
    monkeypatch.setattr(
        "tinymed.evaluate.compare.answers.samples_digest", lambda _samples: RAD_TEST
    )


@pytest.mark.usefixtures("as_rad_test")
def test_rows_of_another_train_split_are_marked_not_hidden(tmp_path: Path) -> None:
    samples = counted(179, 272)
    predictions = answered(samples, [True] * len(samples))
    runs = [
        write_run(tmp_path, name, samples, predictions, samples_sha256=RAD_TEST, train_sha256=train)
        for name, train in (("official", RAD_1797), ("leaky", RAD_3064), ("none", None))
    ]
    found = compare_runs(runs)
    assert found.beside.title == "VQA-RAD, test"
    assert [row.is_other_train for row in rows_of(found, "run")] == [False, True, False]
    by_name = {row.name: row for row in rows_of(found, "published")}
    assert by_name["LLaVA-Med (from LLaVA), 7B"].is_other_train
    assert not by_name["LLaVA-Med, 9 ep. on 1,797, 7B"].is_other_train
    assert not by_name["TinyLLaVA, 1.5B"].is_other_train
    assert not any(row.is_other_test for row in found.beside.rows)
    text = compared_text(found)
    (line,) = [one for one in text.splitlines() if one.startswith("LLaVA-Med (from LLaVA), 7B")]
    assert " batch  test  3,064 ≠ " in line
    assert "≠: not the split of official" in text
    leaky_first = compare_runs([runs[1], runs[0]])
    assert not next(
        row for row in leaky_first.beside.rows if row.name == "LLaVA-Med (from LLaVA), 7B"
    ).is_other_train


def test_a_split_of_the_same_counts_is_taken_for_the_test_split(tmp_path: Path) -> None:
    samples = counted(645, 416)
    run = write_run(tmp_path, "nano", samples, answered(samples, [True] * len(samples)))
    found = compare_runs([run], dataset="slake")
    assert found.beside.title == "SLAKE, English, test (by its counts)"
    assert not any(row.is_other_test for row in found.beside.rows)


@pytest.mark.usefixtures("as_rad_test")
def test_the_published_rows_of_another_data_set_are_marked_throughout(tmp_path: Path) -> None:
    run = write_run(tmp_path, "nano", SAMPLES, FIRST, samples_sha256=RAD_TEST)
    found = compare_runs([run], dataset="slake")
    assert found.beside.title == "VQA-RAD, test"
    assert found.beside.notes[0].endswith("no two figures compare.")
    assert all(row.is_other_test for row in rows_of(found, "published"))


@pytest.mark.usefixtures("as_rad_test")
def test_a_part_of_the_test_split_is_not_the_test_split(tmp_path: Path) -> None:
    run = write_run(tmp_path, "nano", SAMPLES, FIRST[:9], samples_sha256=RAD_TEST, limit=9)
    found = compare_runs([run])
    assert found.beside.title == "VQA-RAD, test, first 9"
    assert all(row.is_other_test for row in rows_of(found, "published"))


def test_every_line_of_text_fits_the_terminal_or_is_a_table(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "before", SAMPLES, FIRST),
        write_run(tmp_path, "after", SAMPLES, SECOND),
    ]
    text = compared_text(compare_runs(runs, dataset="vqa-rad"))
    too_long = [line for line in text.splitlines() if len(line) > WIDTH and "  " not in line]
    assert not too_long
    assert "not reported" in text
    assert "fits no whole number of right answers out of 272" in text


def test_markdown_has_tables_headings_and_numbered_notes(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "before", SAMPLES, FIRST),
        write_run(tmp_path, "after", SAMPLES, SECOND),
    ]
    text = call(*runs, "--published", "slake", "--markdown")
    lines = text.splitlines()
    assert lines[0] == "## after against before, question by question"
    (head,) = [line for line in lines if line.startswith("| percent | open, published")]
    columns = head.count("|")
    row = next(line for line in lines if line.startswith("| TinyLLaVA-Med-F, 1.5B | 85.34 | 85.43"))
    assert row.count("|") == columns
    last = int(row.split("|")[-2].split(",")[-1])
    assert any(line.startswith(f"{last}. ") for line in lines)


def test_json_holds_what_the_text_shows(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, "before", SAMPLES, FIRST),
        write_run(tmp_path, "after", SAMPLES, SECOND),
    ]
    compared = compare_runs(runs, dataset="pathvqa")
    found = json.loads(call(*runs, "--published", "pathvqa", "--json"))
    assert found == json.loads(json.dumps(compared_json(compared)))
    assert found["notice"] == NOTICE
    assert {"exact_p", "mid_p"} == set(found["comparisons"][0]["test"])
    published = [row for row in found["table"]["rows"] if row["kind"] == "published"]
    assert all(row["scorer"] and row["test"] and row["notes"] for row in published)
