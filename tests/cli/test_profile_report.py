"""tinymed profile report, as a person calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "profile" / "pareto"))

from made_up_profile import write_runs

from tinymed.cli.profile.report import report
from tinymed.profile.report.write import FORMATS

Cli = Any


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    return [str(path) for path in write_runs(tmp_path / "runs")]


def test_a_page_is_written_and_shows_its_own_command(
    cli: Cli, runs: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    told = cli("profile", "report", *runs, "--no-published", "--out", str(out))
    assert (told.code, told.out) == (0, f"{out}\n")
    page = out.read_text()
    assert f"tinymed profile report {runs[0]}" in page
    assert f"--no-published --out {out}" in page.replace("&#39;", "'")
    assert "What others printed" not in page


def test_plots_go_into_a_folder_and_json_names_them(
    cli: Cli, runs: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "plots"
    options = ("--format", "svg", "--out", str(out), "--json")
    files = json.loads(cli("profile", "report", *runs, *options).out)["files"]
    assert sorted(files) == sorted(str(path) for path in out.iterdir())
    assert len(files) == 14


def test_a_model_is_planned_for_every_device_named(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    devices = ("rtx-3050-4gb", "orin-nano-8gb")
    options = [word for one in devices for word in ("--device", one)]
    told = cli(
        *("profile", "report", "--plan", "tinyllava-1.5b:nf4", "--plan", "tinyllava-1.5b"),
        *(*options, "--out", str(out)),
    )
    assert (told.code, told.err) == (0, "")
    plans = json.loads(out.read_text())["plans"]
    assert {plan["device"] for plan in plans} == set(devices)
    assert {plan["model"] for plan in plans} == {"tinyllava-1.5b"}
    schemes = [plan["scheme"] for plan in plans if plan["device"] == devices[0]]
    assert schemes[0] == "nf4"
    assert len(schemes) > 2


def test_nothing_to_report_and_a_device_without_a_model_are_refused(
    cli: Cli, tmp_path: Path
) -> None:
    told = cli("profile", "report", "--out", str(tmp_path / "a.html"))
    assert told.code == 2
    assert "name a RUN, or a MODEL with --plan" in told.err
    told = cli("profile", "report", str(tmp_path), "--device", "x", "--out", "a.html")
    assert told.code == 2
    assert "name a MODEL with --plan" in told.err


def test_an_unknown_suffix_is_one_sentence(cli: Cli, runs: list[str], tmp_path: Path) -> None:
    told = cli("profile", "report", *runs, "--out", str(tmp_path / "a.pdf"))
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "'a.pdf' does not tell a report's format" in told.err


def test_the_command_offers_every_format() -> None:
    option = next(one for one in report.params if one.name == "format_name")
    assert option.type.to_info_dict()["choices"] == FORMATS
