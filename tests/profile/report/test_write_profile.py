"""Reports as files: every format, each plot, and CSV that any program reads."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from made_up_plan import made_up_plan
from made_up_profile import made_up_points

from tinymed.errors import ConfigError, DataError
from tinymed.profile.point import FIGURES, read_point
from tinymed.profile.report.content import ReportSettings, read_document
from tinymed.profile.report.write import write_document, write_report


def test_a_suffix_tells_the_format(runs: tuple[Path, ...], tmp_path: Path) -> None:
    settings = ReportSettings(folders=runs)
    starts = {
        "a.html": "<!DOCTYPE html>",
        "a.md": "# What nano",
        "a.json": "{",
        "a.csv": "name,model,scheme",
    }
    for name, start in starts.items():
        (path,) = write_report(settings, tmp_path / "new" / name)
        assert path.read_text().startswith(start)


def test_json_holds_points_fronts_and_plans(runs: tuple[Path, ...], tmp_path: Path) -> None:
    settings = ReportSettings(folders=runs, plans=(made_up_plan(),))
    (path,) = write_report(settings, tmp_path / "a.json")
    found = json.loads(path.read_text())
    assert [read_point(row) for row in found["profiles"][0]["points"]] == made_up_points()
    assert found["profiles"][0]["machine"]["cores"] == 2
    assert [(one["samples"], one["quality"]) for one in found["fronts"]] == [
        ("vqa-rad-test", "closed_accuracy"),
        ("vqa-rad-test", "open_recall"),
        ("slake-validation", "closed_accuracy"),
        ("slake-validation", "open_recall"),
    ]
    assert set(found["fronts"][0]["costs"]) == {"peak", "first-token"}
    assert found["plans"][0]["memory"]["peak_bytes"] == 3 * 2**30


def test_csv_is_one_row_a_point_with_every_figure(runs: tuple[Path, ...], tmp_path: Path) -> None:
    (path,) = write_report(ReportSettings(folders=runs), tmp_path / "a.csv")
    content = path.read_bytes().decode()
    assert content.count("\r\n") == content.count("\n") == 1 + 8
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(content))}
    point = made_up_points()[1]
    row = rows[point.name]
    for name in FIGURES:
        found = point.figures[name]
        for part in ("median", "p95", "low", "high", "num_runs"):
            assert float(row[f"{name}_{part}"]) == getattr(found, part)
    assert float(row["peak_mib"]) == point.memory.peak
    assert row["gpu_driver_mib"] == ""
    assert (row["energy_counter"], float(row["energy_watts"])) == ("rapl", 12.5)
    assert row["throttled"] == ""
    assert float(row["predicted_peak_mib"]) == point.predicted["peak_mib"]
    assert row["predicted_static_mib"] == ""
    busy = rows["nano:native-int4"]
    assert (busy["is_busy"], busy["throttled"], busy["energy_watts"]) == ("True", "True", "")
    assert rows["nano:torch-f32"]["notes"] == "A note."


def test_each_plot_is_a_file_of_its_name(runs: tuple[Path, ...], tmp_path: Path) -> None:
    settings = ReportSettings(folders=runs)
    written = write_report(settings, tmp_path / "plots", format_name="svg")
    names = [figure.name for figure in read_document(settings).plots]
    assert [path.name for path in written] == [f"{name}.svg" for name in names]
    for path in written:
        ET.parse(path)


def test_each_plot_can_be_a_png(runs: tuple[Path, ...], tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="needs the extra plots")
    settings = ReportSettings(
        folders=(runs[0], runs[1]), qualities=("closed",), costs=("peak",), with_published=False
    )
    written = write_report(settings, tmp_path / "plots", format_name="png")
    assert written
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_several_plots_are_no_file(runs: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name a folder with --out, not 'a\.svg'"):
        write_report(ReportSettings(folders=runs), tmp_path / "a.svg")


def test_a_name_without_a_format_is_refused(runs: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'a\.txt' does not tell a report's format"):
        write_report(ReportSettings(folders=runs), tmp_path / "a.txt")
    document = read_document(ReportSettings(folders=runs))
    with pytest.raises(ConfigError, match="would be no page"):
        write_document(document, tmp_path / "a.csv")


def test_nothing_to_plot_is_told(tmp_path: Path) -> None:
    settings = ReportSettings(plans=(made_up_plan(),), with_published=False)
    with pytest.raises(DataError, match="nothing to plot"):
        write_report(settings, tmp_path / "plots", format_name="svg")


def test_where_nothing_can_be_written_it_is_told(runs: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        write_report(ReportSettings(folders=runs), tmp_path / "file" / "a.html")
