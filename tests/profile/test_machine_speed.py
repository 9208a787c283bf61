"""How fast this machine is: counted rightly, kept, and never taken for another's."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tinymed.engines.native import kernel
from tinymed.hardware.load import Load
from tinymed.hardware.processor import read_processor
from tinymed.hardware.speed import MachineSpeed
from tinymed.profile import machine_speed
from tinymed.profile.machine_speed import (
    INT8_PRODUCT,
    NUM_PROBES,
    keep_machine,
    known_machine,
    measure_machine,
)

SPEED = MachineSpeed(
    read_gb_per_s=20.5,
    float32_gflop_per_s=150.0,
    int8_gop_per_s=None,
    threads=4,
    measured_on="2026-11-22",
    is_busy=False,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes of a few milliseconds."""
    monkeypatch.setattr("tinymed.hardware.bandwidth.LARGEST_BYTES", 2**24)
    monkeypatch.setattr("tinymed.hardware.bandwidth.PRODUCT", 64)


def test_a_machine_is_measured_step_by_step(small: None) -> None:
    steps: list[int] = []
    speed = measure_machine(seconds=0.01, step=lambda: steps.append(1))
    assert len(steps) == NUM_PROBES
    assert speed.read_gb_per_s > 0
    assert speed.float32_gflop_per_s > 0
    assert speed.threads >= 1
    assert (speed.int8_gop_per_s is None) == (kernel.kernel_problem() is not None)


def test_a_measurement_beside_others_work_says_so(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for share, busy in ((0.5, True), (0.05, False), (None, False)):
        load = Load(seconds=1.0, used_by_others=share, stolen=0.0, throttled=None)
        watch = nullcontext(SimpleNamespace(load=load))
        monkeypatch.setattr(machine_speed, "Watch", lambda found=watch: found)
        assert measure_machine(seconds=0.01).is_busy is busy


def test_without_the_kernel_there_is_no_8_bit_figure(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "kernel_problem", lambda: "none here")
    assert measure_machine(seconds=0.01).int8_gop_per_s is None


@pytest.mark.skipif(kernel.kernel_problem() is not None, reason="needs the native kernel")
def test_8_bit_products_are_counted_twice_a_weight_and_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def second(call: object, _seconds: float) -> float:
        assert callable(call)
        call()
        return 1.0

    monkeypatch.setattr(machine_speed, "median_s", second)
    tokens, columns, rows = INT8_PRODUCT
    assert machine_speed._int8_gop_per_s(1, seconds=0) == pytest.approx(
        2 * tokens * columns * rows / 1e9
    )


def test_what_was_kept_is_known_again(cache: Path) -> None:
    assert known_machine() is None
    assert keep_machine(SPEED) == cache / "machine.json"
    assert known_machine() == SPEED
    keep_machine(replace(SPEED, is_busy=True))
    assert known_machine() == replace(SPEED, is_busy=True)


@pytest.mark.parametrize(
    "other", [{"name": "another"}, {"threads": 1000}, {"instructions": {"avx2": True}}]
)
def test_another_machine_that_shares_the_cache_does_not_take_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    keep_machine(SPEED)
    processor = replace(read_processor(), **other)
    monkeypatch.setattr(machine_speed, "read_processor", lambda: processor)
    assert known_machine() is None
    keep_machine(SPEED)
    assert known_machine() == SPEED


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": 1', '{"speed": {"a": 1}}'])
def test_a_damaged_file_is_as_if_it_were_not_there(cache: Path, text: str) -> None:
    path = keep_machine(SPEED)
    path.write_text(text)
    assert known_machine() is None


def test_a_file_of_another_version_is_as_if_it_were_not_there(cache: Path) -> None:
    path = keep_machine(SPEED)
    row = json.loads(path.read_text())
    row["speed"]["new_figure"] = 1
    path.write_text(json.dumps(row))
    assert known_machine() is None
