"""`tinymed doctor`: text, JSON and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinymed.doctor import examine as examining

if TYPE_CHECKING:
    from tests.conftest import RunCli


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Probes of a few milliseconds."""
    monkeypatch.setattr("tinymed.hardware.bandwidth.LARGEST_BYTES", 2**24)
    monkeypatch.setattr("tinymed.hardware.bandwidth.PRODUCT", 64)
    whole = examining.examine
    monkeypatch.setattr(examining, "examine", lambda: whole(seconds=0.01))


@pytest.mark.usefixtures("_small")
def test_the_doctor_tells_what_this_machine_is_and_what_runs(cli: RunCli, cache: Path) -> None:
    outcome = cli("doctor")
    assert outcome.code == 0
    assert outcome.out.startswith("This machine\n")
    assert "\nWhat runs here\n  model " in outcome.out
    assert "get it: tinymed models pull nano" in outcome.out
    assert outcome.err.startswith("measuring this machine: 3 of 3 probes")
    assert (cache / "machine.json").is_file()


@pytest.mark.usefixtures("_small")
def test_json_is_one_object_on_standard_output(cli: RunCli) -> None:
    outcome = cli("doctor", "--json")
    row = json.loads(outcome.out)
    assert outcome.code == 0
    assert row["can_run"] is True
    assert row["machine"]["speed"]["read_gb_per_s"] > 0


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_machine_on_which_nothing_runs_is_told_by_exit_code_3(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    whole = examining.examine
    monkeypatch.setattr(examining, "examine", lambda: replace(whole(), fits=()))
    outcome = cli("doctor", *option)
    assert outcome.code == 3
    assert outcome.out
