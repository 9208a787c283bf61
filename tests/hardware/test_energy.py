"""Counters of energy: right sums, wrap-around, and None where there is nothing to read."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hardware.made_up_machine import orin_nano, put_nvml, rapl, write_tree

from tinymed.hardware import ina3221
from tinymed.hardware.energy import counter_problem, find_counter
from tinymed.hardware.ina3221 import InaCounter

RAPL = "sys/class/powercap/intel-rapl:0"


def test_packages_and_their_memory_are_counted_and_parts_of_packages_are_not(
    tmp_path: Path,
) -> None:
    for zone, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "package-1")):
        rapl(tmp_path, f"intel-rapl:{zone}", name, 100, range_uj=10**9)
    for zone, name in (("intel-rapl:2", "psys"), ("intel-rapl-mmio:0", "package-0")):
        rapl(tmp_path, zone, name, 0)
    counter = find_counter(root=tmp_path)
    assert counter is not None
    assert (counter.name, counter.covers) == ("rapl", "processor packages and their memory")
    assert counter.read_joules() == 0
    for zone in ("0", "0:0", "0:1", "1"):
        rapl(tmp_path, f"intel-rapl:{zone}", "", 2_000_100, range_uj=10**9)
    rapl(tmp_path, "intel-rapl-mmio:0", "package-0", 2_000_100)
    rapl(tmp_path, "intel-rapl:2", "psys", 2_000_100)
    assert counter.read_joules() == 6.0


def test_a_counter_that_begins_again_goes_on(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", "package-0", 900)
    counter = find_counter(root=tmp_path)
    assert counter is not None
    for energy_uj, joules in ((950, 50e-6), (20, 120e-6), (20, 120e-6), (10, 1110e-6)):
        (tmp_path / RAPL / "energy_uj").write_text(f"{energy_uj}\n")
        assert counter.read_joules() == pytest.approx(joules)


def test_a_counter_that_may_not_be_read_is_none_and_the_way_to_it_is_told(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", "package-0", 0)
    rapl(tmp_path, "intel-rapl:1", "package-1", 0)
    # A folder in its place stands for a file without permission: this test may run as root.
    (tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj").unlink()
    (tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj").mkdir()
    assert find_counter(root=tmp_path) is None
    problem = counter_problem(root=tmp_path)
    assert problem is not None
    assert problem.endswith("sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj")


def test_a_machine_without_counters_has_none(tmp_path: Path) -> None:
    assert find_counter(root=tmp_path) is None
    assert counter_problem(root=tmp_path) == "no counter shows here: few virtual machines have one"
    rapl(tmp_path, "intel-rapl:0", "package-0", 0)
    assert counter_problem(root=tmp_path) is None


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that stands until a test moves it."""
    now = [100.0]
    monkeypatch.setattr(ina3221, "monotonic", lambda: now[0])
    return now


def test_a_jetsons_watts_are_added_up_over_time(tmp_path: Path, seconds: list[float]) -> None:
    """Of the rail that feeds the others alone: the sum of all would count twice."""
    root = orin_nano(tmp_path)
    counter = find_counter(root=root)
    assert counter is not None
    assert (counter.name, counter.covers) == ("ina3221", "board: VDD_IN")
    seconds[0] += 2.0
    assert counter.read_joules() == pytest.approx(10.0)
    # Straight from 5 W to 15 W.
    write_tree(root, {"sys/class/hwmon/hwmon1/curr1_input": "3000\n"})
    seconds[0] += 1.0
    assert counter.read_joules() == pytest.approx(20.0)
    counter.close()


def test_boards_without_a_rail_for_all_are_the_sum_of_their_rails(
    tmp_path: Path, seconds: list[float]
) -> None:
    first, second = "sys/class/hwmon/hwmon3", "sys/class/hwmon/hwmon4"
    files = {
        f"{first}/name": "ina3221\n",
        f"{first}/in1_label": "VDD_GPU_SOC\n",
        f"{first}/in1_input": "20000\n",
        f"{first}/curr1_input": "500\n",
        f"{second}/name": "ina3221\n",
        f"{second}/in1_label": "NC\n",
        f"{second}/in2_label": "VDDQ\n",
        f"{second}/power2_input": "1500000\n",
    }
    counter = find_counter(root=write_tree(tmp_path, files))
    assert counter is not None
    assert counter.covers == "board: VDD_GPU_SOC + VDDQ"
    seconds[0] += 2.0
    assert counter.read_joules() == pytest.approx(2 * (10 + 1.5))
    counter.close()


def test_a_sensor_is_read_while_nobody_asks(tmp_path: Path) -> None:
    counter = find_counter(root=orin_nano(tmp_path))
    assert isinstance(counter, InaCounter)
    end = time.monotonic() + 30
    while counter._joules == 0 and time.monotonic() < end:
        time.sleep(0.01)
    counter.close()
    assert counter._joules > 0
    assert not counter._thread.is_alive()


def test_a_sample_that_fails_is_bridged_by_the_next(
    tmp_path: Path, seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = orin_nano(tmp_path)
    counter = find_counter(root=root)
    current = root / "sys/class/hwmon/hwmon1/curr1_input"
    current.write_text("")
    seconds[0] += 1.0
    time.sleep(0.2)
    current.write_text("1000")
    seconds[0] += 1.0
    assert counter is not None
    assert counter.read_joules() == pytest.approx(10.0)
    counter.close()


def test_a_sensor_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    root = orin_nano(tmp_path)
    (root / "sys/class/hwmon/hwmon1/curr1_input").unlink()
    assert find_counter(root=root) is None


def test_a_gpus_counter_is_in_millijoules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = put_nvml(monkeypatch)
    counter = find_counter(gpu=0, root=tmp_path)
    assert counter is not None
    before = counter.read_joules()
    nvml.energy_mj += 2500
    assert counter.read_joules() - before == 2.5
    counter.close()
    assert nvml.num_open == 0


def test_a_gpu_that_does_not_count_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml = put_nvml(monkeypatch)
    nvml.refused.add("nvmlDeviceGetTotalEnergyConsumption")
    assert find_counter(gpu=0, root=tmp_path) is None
    assert nvml.num_open == 0
    nvml.refused.add("nvmlInit")
    assert find_counter(gpu=0, root=tmp_path) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find_counter(gpu=0, root=tmp_path) is None
