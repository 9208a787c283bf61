"""tinymed profile pareto, as a person calls it."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "profile" / "pareto"))

from made_up_profile import write_runs

from tinymed.cli.profile.pareto import pareto
from tinymed.profile.pareto.costs import COSTS

Cli = Any


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    return [str(path) for path in write_runs(tmp_path / "runs")]


def test_text_json_and_csv_tell_the_same(cli: Cli, runs: list[str]) -> None:
    text = cli("profile", "pareto", *runs, "--samples-of", "vqa-rad")
    found = cli("profile", "pareto", *runs, "--samples-of", "vqa-rad", "--json")
    table = cli("profile", "pareto", *runs, "--samples-of", "vqa-rad", "--csv")
    assert [one.code for one in (text, found, table)] == [0, 0, 0]
    (front,) = json.loads(found.out)["fronts"]
    statuses = {one["name"]: one["status"] for one in front["builds"]}
    rows = {row["name"]: row["status"] for row in csv.DictReader(io.StringIO(table.out))}
    assert rows == statuses
    for name, status in statuses.items():
        (line,) = [one for one in text.out.splitlines() if f" {name} " in one and "%" not in one]
        assert line.endswith(status)


def test_costs_quality_and_samples_have_an_effect(cli: Cli, runs: list[str]) -> None:
    def fronts(*options: str) -> Any:
        return json.loads(cli("profile", "pareto", *runs, *options, "--json").out)["fronts"]

    assert len(fronts()) == 2
    assert [front["samples"] for front in fronts("--samples-of", "slake")] == ["slake-validation"]
    assert set(fronts()[0]["costs"]) == {"peak"}
    assert set(fronts("--cost", "disk", "--cost", "tokens")[0]["costs"]) == {"disk", "tokens"}
    assert set(fronts("--under", "first-token=2s")[0]["costs"]) == {"first-token"}
    assert fronts("--quality", "open")[0]["quality"] == "open_recall"
    published = ("--quality", "tinyllava_med_closed", "--cost", "static")
    assert len(fronts(*published)[0]["published"]) == 2
    assert fronts(*published, "--no-published")[0]["published"] == []


def test_the_best_within_bounds_is_named(cli: Cli, runs: list[str]) -> None:
    told = cli("profile", "pareto", *runs, "--under", "peak=400MB", "--under", "first-token=2s")
    assert "Best within peak=400MB, first-token=2s: nano:native-int8." in told.out
    told = cli("profile", "pareto", *runs, "--under", "peak=100MB")
    assert "Nothing fits peak=100MB. Closest is nano:native-int4" in told.out


def test_the_page_can_be_written_along(cli: Cli, runs: list[str], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    told = cli("profile", "pareto", *runs, "--cost", "disk", "--out", str(out))
    assert told.err == f"Report: {out}\n"
    page = out.read_text()
    assert "Closed accuracy against size on the disk" in page
    assert "Closed accuracy against peak memory" not in page
    assert "tinymed profile pareto" in page


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--under", "peak=4"), "There is no unit in 'peak=4'"),
        (("--quality", "bleu"), "No run was scored by 'bleu'"),
        (("--samples-of", "mimic"), "No run is about the samples 'mimic'"),
        (("--out", "page.csv"), "'page.csv' would be no page"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(
    cli: Cli, runs: list[str], options: tuple[str, ...], sentence: str
) -> None:
    told = cli("profile", "pareto", *runs, *options)
    assert told.code == 2
    assert told.err.startswith(f"error: {sentence}")
    assert told.err.count("\n") == 1


def test_a_folder_that_is_no_run_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    told = cli("profile", "pareto", str(tmp_path))
    assert (told.code, told.err.startswith(f"error: '{tmp_path}' holds neither")) == (2, True)


def test_the_command_offers_every_cost() -> None:
    option = next(one for one in pareto.params if one.name == "costs")
    assert option.type.to_info_dict()["choices"] == tuple(COSTS)
