"""The page: whole, safe, the same each time, every mark where it belongs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from made_up_plan import made_up_plan
from made_up_profile import made_up_point, write_evaluation, write_profile, write_runs

from tinymed.pages.document import Document, Plots, Section, Table
from tinymed.pages.html import report_html
from tinymed.pages.markdown import report_markdown
from tinymed.profile.pareto.bounds import read_bound
from tinymed.profile.pareto.weigh import ParetoSettings
from tinymed.profile.report.content import ReportSettings, pareto_document, read_document
from tinymed.records import NOTICE

HOSTILE = '"><script>alert(1)</script>'


def document(runs: tuple[Path, ...], **fields: Any) -> Document:
    return read_document(ReportSettings(folders=runs, **fields))


def section(found: Document, id_: str) -> Section:
    return next(one for one in found.sections if one.id == id_)


def tables(found: Section) -> dict[str, Table]:
    return {block.caption: block for block in found.blocks if isinstance(block, Table)}


def cells(table: Table) -> dict[str, list[str]]:
    """The texts of each row, by the first."""
    return {
        row.cells[0].text: [cell.text for cell in row.cells[1:]]
        for group in table.groups
        for row in group.rows
    }


def test_the_page_has_every_section_in_order(runs: tuple[Path, ...]) -> None:
    found = document(runs, plans=(made_up_plan(),))
    assert [one.id for one in found.sections] == [
        "front-vqa-rad-test",
        "front-slake-validation",
        *("phases", "predicted", "figures", "plans", "published", "machine", "again", "reading"),
    ]


def test_what_a_reader_must_know_stands_first(runs: tuple[Path, ...]) -> None:
    warnings = " ".join(document(runs).warnings)
    assert "busy machine, so times may be too long: nano:native-int4." in warnings
    assert "Refused by the parity gate" in warnings
    assert "Random weights of a known shape" in warnings


def test_the_summary_says_who_is_on_the_front_and_how_right_the_plan_was(
    runs: tuple[Path, ...],
) -> None:
    sentences = " ".join(document(runs, plans=(made_up_plan(),)).summary)
    assert (
        "VQA-RAD, test: of 6 builds, 4 are on the front of closed accuracy against peak memory: "
        "nano:native-int4 (61.0 % at 260 MiB)"
    ) in sentences
    assert "Of the others, 2 cannot be told apart" in sentences
    assert "within 10 % for 8 of 8 points" in sentences
    assert "Planned for rtx-3050-4gb: llava-med-7b fits in 1 of 1 schemes (nf4)." in sentences


def test_a_prediction_that_misses_is_counted_and_named(tmp_path: Path) -> None:
    points = [made_up_point("nf4"), made_up_point("int8", predicted={"peak_mib": 300.0})]
    (sentence,) = document((write_profile(tmp_path / "profile", points),)).summary
    assert sentence == (
        "Peak memory was predicted within 10 % for 1 of 2 points; the worst is nano:int8, "
        "\N{MINUS SIGN}25.0\N{NO-BREAK SPACE}%."
    )


def test_every_front_is_drawn_and_named_for_its_file(runs: tuple[Path, ...]) -> None:
    names = [figure.name for figure in document(runs).plots]
    assert names == [
        *("vqa-rad-test-closed_accuracy-peak", "vqa-rad-test-closed_accuracy-first-token"),
        *("vqa-rad-test-open_recall-peak", "vqa-rad-test-open_recall-first-token"),
        "vqa-rad-test-tinyllava_med_closed-static",
        *("slake-validation-closed_accuracy-peak", "slake-validation-closed_accuracy-first-token"),
        *("slake-validation-open_recall-peak", "slake-validation-open_recall-first-token"),
        *("phases-nano", "phases-tinyllava-1.5b", "predicted-memory", "predicted-times"),
        "published-judge-static",
    ]
    for figure in document(runs).plots:
        ET.fromstring(figure.svg)


def test_dots_look_like_what_they_are(runs: tuple[Path, ...]) -> None:
    front = next(
        figure for figure in document(runs).plots if figure.name.endswith("med_closed-static")
    )
    kinds = re.findall(r'class="dot (\w+)"', front.svg)
    assert sorted(kinds) == sorted(["front"] * 4 + ["untold"] * 2 + ["refused"] + ["published"] * 2)
    assert front.svg.count('class="steps"') == 1


def test_published_systems_say_what_they_are_not_comparable_in(runs: tuple[Path, ...]) -> None:
    found = tables(section(document(runs), "front-vqa-rad-test"))
    table = next(one for caption, one in found.items() if caption.startswith("Published systems"))
    assert cells(table)["TinyLLaVA-Med-F"][:2] == ["81.25", "2.86 GiB"]
    assert "leaks test questions" in cells(table)["TinyLLaVA-Med-F"][2]
    assert any("92.3 %" in remark for remark in table.remarks)
    without = document(runs, with_published=False)
    assert "published" not in {one.id for one in without.sections}
    assert not any("published" in figure.svg for figure in without.plots)


def test_a_front_in_memory_alone_and_in_time_alone_are_told_apart(runs: tuple[Path, ...]) -> None:
    table = tables(section(document(runs), "front-vqa-rad-test"))[
        "Closed accuracy and what it costs"
    ]
    row = cells(table)["nano:native-int4"]
    assert row == [
        *("61.0", "272", "260 MiB", "on the front"),
        *("250 ms", "dominated, intervals overlap", "on the front"),
    ]


def test_phases_end_with_decoding_of_the_whole_answer(runs: tuple[Path, ...]) -> None:
    figure = next(one for one in document(runs).plots if one.name == "phases-nano")
    assert figure.description.startswith("Quickest nano:native-int8, 624 ms")
    assert "650 ms; busy machine" in figure.svg
    assert figure.svg.count('class="piece-6"') == 1 + 7


def test_an_error_beyond_the_bound_is_strong(runs: tuple[Path, ...]) -> None:
    found = tables(section(document(runs), "predicted"))
    memory, times = found.values()
    peak, disk = memory.groups[0].rows[0].cells[1:]
    assert (peak.text, peak.detail, peak.is_strong) == (
        "+6.0\xa0%",
        "551\xa0MiB, 520\xa0MiB",
        False,
    )
    assert disk.text == "0.0\xa0%"
    first_token = times.groups[0].rows[0].cells[1]
    assert (first_token.text, first_token.is_strong) == ("\N{MINUS SIGN}30.0\xa0%", True)


def test_energy_without_a_counter_is_not_available_and_never_nought(
    runs: tuple[Path, ...],
) -> None:
    found = tables(section(document(runs), "figures"))
    energy = cells(found["Energy, and whether the clock can be believed"])
    assert energy["nano:native-int8"][:3] == ["not available", "–", "–"]
    assert energy["nano:openvino-f32"][:3] == ["4.0 J", "rapl", "12.5 W"]


def test_every_figure_has_its_p95_spread_and_number(runs: tuple[Path, ...]) -> None:
    found = tables(section(document(runs), "figures"))
    row = found["The whole"].groups[0].rows[0]
    assert [(cell.text, cell.detail) for cell in row.cells[1:4]] == [
        ("0.8", "n 1"),
        ("416", "n 1"),
        ("260", "p95 269; 3.5 %, n 10"),
    ]


def test_a_figure_that_was_not_timed_is_not_available(tmp_path: Path) -> None:
    point = made_up_point("nf4", peak=None, first_token=None, predicted={})
    found = document((write_profile(tmp_path / "profile", [point]),))
    assert {one.id for one in found.sections} >= {"figures", "machine"}
    assert not {"phases", "predicted"} & {one.id for one in found.sections}
    figures = tables(section(found, "figures"))
    assert cells(figures["Memory, MiB"])["nano:nf4"][-1] == "not available"
    assert set(cells(figures["The whole"])["nano:nf4"]) == {"not available"}


def test_a_note_stands_once_behind_the_names_of_its_points(tmp_path: Path) -> None:
    points = [made_up_point(one, notes=("Shared.",)) for one in ("nf4", "int8")]
    points[0] = replace(points[0], notes=("Shared.", "Own."))
    found = document((write_profile(tmp_path / "profile", points),))
    table = tables(section(found, "figures"))["What was measured"]
    assert table.remarks == ("Every point: Shared.", "nano:nf4: Own.")


def test_plans_stand_by_model_and_device(runs: tuple[Path, ...]) -> None:
    plans = (
        made_up_plan(),
        made_up_plan("float16", verdict="does not fit", instead="llava-med-7b:nf4", speed=None),
        made_up_plan(device="orin-nano-8gb"),
    )
    (table,) = tables(section(document((), plans=plans), "plans")).values()
    assert [group.title for group in table.groups] == ["rtx-3050-4gb", "orin-nano-8gb"]
    first, second = table.groups[0].rows
    texts = [cell.text for cell in first.cells]
    assert texts == [
        *("nf4", "fits", "1.00 GiB", "3.00 GiB", "4.00 GiB", "1.00 GiB"),
        *("450 ms", "50.0 ms", "42.0"),
    ]
    assert second.cells[1].detail == "instead: llava-med-7b:nf4"
    assert [cell.text for cell in second.cells[-3:]] == ["–", "–", "–"]
    assert table.remarks[1:] == ("Speed of nf4: the maker's figures", "A remark.")


def test_the_commands_that_made_it_can_be_copied(runs: tuple[Path, ...]) -> None:
    found = document(runs, command="tinymed profile report a --out b.html")
    page = report_html(found)
    assert "tinymed profile run nano:openvino-int8 nano:openvino-f32" in page
    assert "--image chest.png --question &#39;Is there a mass?&#39; --runs 10" in page
    assert "profile run tinyllava-1.5b:native-int4 --random-weights FOLDER" in page
    assert "tinymed evaluate run nano:nf4 --samples test.jsonl --train train.jsonl" in page
    assert "tinymed profile report a --out b.html" in page


def test_what_comes_from_data_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    point = made_up_point("nf4", model=f"nano {HOSTILE}", notes=(HOSTILE,), image=HOSTILE)
    folder = write_profile(tmp_path / "profile", [point], question=HOSTILE)
    evaluation = write_evaluation(
        tmp_path / "one", "nf4", 0.7, model=f"nano {HOSTILE}", samples=HOSTILE, sha256="f" * 64
    )
    page = report_html(document((folder, evaluation)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10
    for drawing in re.findall(r"<svg.*?</svg>\s*<fig", page, re.DOTALL):
        ET.fromstring(drawing.rpartition("<fig")[0])


def test_the_page_asks_no_host_for_anything_and_has_the_notice(runs: tuple[Path, ...]) -> None:
    page = report_html(document(runs))
    assert not re.search(r"url\(|@import|https?:|src=", page)
    assert "default-src 'none'" in page
    assert NOTICE in page
    assert "<title>What nano and tinyllava-1.5b take: profile</title>" in page


def test_ids_are_unique(runs: tuple[Path, ...]) -> None:
    ids = re.findall(r'\sid="([^"]+)"', report_html(document(runs)))
    assert len(ids) == len(set(ids)) > 10


def test_the_same_folders_give_the_same_bytes(runs: tuple[Path, ...]) -> None:
    assert report_html(document(runs)) == report_html(document(runs))


def test_markdown_has_the_tables_and_what_the_plots_show(runs: tuple[Path, ...]) -> None:
    text = report_markdown(document(runs))
    assert "On the front: native-int4 (61.0 % at 260 MiB)" in text
    assert "<svg" not in text
    assert "| nano:native-int8 |" in text.replace("\\", "")


def test_the_page_of_one_weighing_shows_that_one(runs: tuple[Path, ...]) -> None:
    settings = ParetoSettings(
        folders=runs,
        quality="tinyllava_med_closed",
        costs=("static",),
        samples="vqa-rad",
        bounds=(read_bound("peak=400MB"),),
    )
    found = pareto_document(settings)
    fronts = [one.id for one in found.sections if one.id.startswith("front")]
    assert fronts == ["front-vqa-rad-test"]
    plots = [
        block for block in section(found, "front-vqa-rad-test").blocks if isinstance(block, Plots)
    ]
    assert [figure.name for block in plots for figure in block.figures] == [
        "vqa-rad-test-tinyllava_med_closed-static"
    ]
    assert any("Best within peak=400MB: nano:native-int8" in one for one in found.summary)


@pytest.mark.parametrize("quality", ["closed", "open"])
def test_without_profiles_evaluations_are_listed_as_not_measured(
    tmp_path: Path, quality: str
) -> None:
    runs = write_runs(tmp_path / "runs")[1:]
    found = document(tuple(runs), qualities=(quality,))
    assert "Evaluated, but not measured" in report_markdown(found)
