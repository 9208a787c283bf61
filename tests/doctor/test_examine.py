"""The whole examination: its JSON, what it keeps, and what runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.hardware.made_up_machine import write_tree

from tinymed.doctor import examine as examining
from tinymed.doctor.engines import examine_engines
from tinymed.doctor.examine import Examination, examination_row, examine
from tinymed.doctor.fits import Fit, foresee
from tinymed.doctor.ingredient import Ingredient
from tinymed.doctor.text import examination_text
from tinymed.hardware.speed import MachineSpeed
from tinymed.models.shape.known import known_names
from tinymed.profile.machine_speed import keep_machine, known_machine

SPEED = MachineSpeed(
    read_gb_per_s=20.25,
    float32_gflop_per_s=150.4,
    int8_gop_per_s=400.0,
    threads=2,
    measured_on="2026-11-22",
    is_busy=False,
)

FIT = Fit(
    model="small",
    scheme="native-int8",
    verdict="fits",
    peak_bytes=2**30,
    usable_bytes=2**32,
    download_bytes=2**31,
    first_token_s=1.25,
    second_question_s=0.5,
    decode_tokens_per_s=20.0,
    instead=None,
    get=None,
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[MachineSpeed]:
    """What the probes will find, the last one: they are tested elsewhere and take seconds."""
    speeds = [SPEED]

    def measure(*, seconds: float, step: object) -> MachineSpeed:
        assert seconds > 0
        assert callable(step)
        step()
        return speeds[-1]

    monkeypatch.setattr(examining, "measure_machine", measure)
    return speeds


@pytest.fixture
def found(measured: list[MachineSpeed], cache: Path) -> Examination:
    return examine()


def test_the_json_holds_every_section_and_what_is_in_it(found: Examination) -> None:
    row = json.loads(json.dumps(examination_row(found)))
    assert set(row) == {
        "machine", "planned_with", "engines", "extras", "codecs", "models", "fits", "can_run",
    }  # fmt: skip
    assert set(row["machine"]) == {
        "system", "python", "tinymed", "board", "processor", "memory", "gpus", "gpu_problem",
        "disk", "speed", "energy", "energy_problem",
    }  # fmt: skip
    assert set(row["machine"]["processor"]) == {
        "name", "vendor", "architecture", "cores", "threads", "quota", "instructions",
        "level2_bytes", "level3_bytes",
    }  # fmt: skip
    assert set(row["machine"]["memory"]) == {
        "total_bytes", "available_bytes", "swap_bytes", "limit_bytes", "usable_bytes",
    }  # fmt: skip
    assert row["machine"]["disk"]["folder"].endswith("cache")
    for section in ("engines", "extras", "codecs", "models"):
        for one in row[section]:
            assert set(one) == {"name", "is_here", "purpose", "version", "note", "get"}
    assert {one["model"] for one in row["fits"]} == set(known_names())
    assert set(row["fits"][0]) == {
        "model", "scheme", "verdict", "peak_bytes", "usable_bytes", "download_bytes",
        "first_token_s", "second_question_s", "decode_tokens_per_s", "instead", "get",
    }  # fmt: skip


def test_every_missing_thing_has_a_command_or_what_to_do(found: Examination) -> None:
    things = (*found.engines, *found.extras, *found.codecs, *found.models)
    missing = [thing for thing in things if not thing.is_here]
    assert all(thing.get for thing in missing)
    # The cache is empty, so that at least the shipped model is missing.
    assert "tinymed models pull nano" in [thing.get for thing in missing]


def test_the_page_is_at_most_100_columns_wide_but_for_commands(found: Examination) -> None:
    text = examination_text(found)
    # A path is never broken either, and that of a test may be long.
    folder = str(found.machine.disk.folder) if found.machine.disk else "none"
    lines = [line.replace(folder, "FOLDER") for line in text.splitlines()]
    assert max(len(line) for line in lines if "get it:" not in line) <= 100
    for section in ("This machine", "Engines", "Image files", "Models here", "What runs here"):
        assert f"\n{section}\n" in f"\n{text}\n"
    for thing in (*found.engines, *found.codecs, *found.models):
        if thing.get:
            assert f"get it: {thing.get}\n" in text
    for fit in found.fits:
        assert fit.model in text


def test_speed_is_kept_for_plans(measured: list[MachineSpeed], cache: Path) -> None:
    examine()
    assert known_machine() == SPEED
    faster = replace(SPEED, read_gb_per_s=30.0)
    measured.append(faster)
    examine()
    assert known_machine() == faster


def test_a_busy_moment_does_not_replace_a_quiet_ones_speed(
    measured: list[MachineSpeed], cache: Path
) -> None:
    busy = replace(SPEED, is_busy=True, read_gb_per_s=5.0, measured_on="2026-11-23")
    measured.append(busy)
    assert examine().planned_with == busy
    keep_machine(SPEED)
    found = examine()
    assert found.machine.speed == busy
    assert found.planned_with == known_machine() == SPEED
    assert "measured on 2026-11-22, when it was quiet" in " ".join(examination_text(found).split())


def test_a_cache_that_cannot_be_written_costs_only_the_memory(
    measured: list[MachineSpeed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "file" / "cache"))
    assert examine().planned_with == SPEED
    assert known_machine() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")
def test_another_machines_files_can_be_examined(
    measured: list[MachineSpeed], cache: Path, tmp_path: Path
) -> None:
    model = "proc/device-tree/model"
    found = examine(root=write_tree(tmp_path / "pi", {model: "Raspberry Pi 5 Model B Rev 1.0\0"}))
    assert found.machine.board == "Raspberry Pi 5 Model B Rev 1.0"


def test_known_models_are_planned_on_this_machine_smallest_first() -> None:
    fits = foresee(SPEED, examine_engines())
    assert {fit.model for fit in fits} == set(known_names())
    peaks = [fit.peak_bytes for fit in fits]
    assert peaks == sorted(peaks)
    assert all(fit.first_token_s and fit.decode_tokens_per_s for fit in fits)


def test_an_engine_that_is_not_here_is_named_with_its_command() -> None:
    """The native engine is the exception: without its kernel it runs in NumPy."""
    gone = [
        Ingredient(name=name, is_here=False, get=f"get {name}")
        for name in ("openvino", "native", "llamacpp", "torch")
    ]
    for fit in foresee(SPEED, gone):
        engine = fit.scheme.partition("-")[0]
        expected = None if engine == "native" else f"get {engine}"
        if engine in ("native", "openvino"):
            assert fit.get == expected


def test_something_runs_if_it_fits_and_its_engine_is_here(found: Examination) -> None:
    for change, runs in (
        ({}, True),
        ({"verdict": "tight"}, True),
        ({"verdict": "does not fit", "instead": "smaller"}, False),
        ({"get": "pip install 'tinymed[torch]'"}, False),
    ):
        only = replace(found, fits=(replace(FIT, **change),))
        assert only.can_run is runs
        text = examination_text(only)
        assert ("Nothing that tinymed knows can run here." in text) is not runs
        for told in change.values():
            assert told in text
    assert not replace(found, fits=()).can_run
    assert examination_row(replace(found, fits=()))["can_run"] is False


def test_a_row_of_the_table_tells_what_a_person_asks(found: Examination) -> None:
    text = examination_text(replace(found, fits=(FIT, replace(FIT, first_token_s=None))))
    rows = [line.split() for line in text.splitlines() if line.startswith("  small")]
    told = ["small", "native-int8", "1.0", "GiB", "fits", "1.25", "s", "0.50", "s", "20.0"]
    assert rows[0] == told
    assert rows[1][5:7] == ["not", "told"]
