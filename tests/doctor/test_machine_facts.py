"""This machine as a person reads of it: boards, containers and sandboxes among them."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
from tests.hardware.made_up_machine import orin_nano, put_nvml, rapl, write_tree

from tinymed.doctor.machine import examine_machine
from tinymed.doctor.machine_text import machine_text
from tinymed.hardware.speed import MachineSpeed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc and /sys")

SPEED = MachineSpeed(
    read_gb_per_s=20.25,
    float32_gflop_per_s=150.4,
    int8_gop_per_s=None,
    threads=4,
    measured_on="2026-11-22",
    is_busy=False,
)


def lines(root: Path, speed: MachineSpeed = SPEED) -> dict[str, str]:
    """What is told under each label."""
    told: dict[str, str] = {}
    label = ""
    for line in machine_text(examine_machine(speed, root=root)).splitlines()[1:]:
        label = line[2:22].strip() or label
        told[label] = f"{told.get(label, '')} {line[22:].strip()}".strip()
    return told


@pytest.fixture(autouse=True)
def _empty_cache(cache: Path) -> None:
    pass


def test_a_container_of_2_gib_says_so(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\nSwapTotal: 0 kB\n",
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": f"{2 * 2**30}\n",
        "sys/fs/cgroup/cpu.max": "50000 100000\n",
    }
    told = lines(write_tree(tmp_path, files))
    limit = "limited to 2.0 GiB by this process's control group"
    assert told["memory"] == f"16.0 GiB, 8.0 GiB available, {limit}, no swap"
    assert told["processor"].endswith("1 thread, limited to 0.5 processors' time")


def test_a_jetson_is_told_by_name_with_its_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    nvml = put_nvml(monkeypatch)
    nvml.refused = {"nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMaxPcieLinkWidth"}
    told = lines(orin_nano(tmp_path))
    assert told["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert told["processor"].startswith("Cortex-A78AE (arm64), ")
    assert told["instructions"] == "asimd asimddp"
    assert told["energy"] == "ina3221: board: VDD_IN"
    assert "memory shared with the processor" in told["GPU 0"]
    assert told["memory"] == "7.5 GiB, 5.6 GiB available, no swap"


def test_a_gpu_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_nvml(monkeypatch)
    assert lines(tmp_path)["GPU 0"] == (
        "NVIDIA GeForce RTX 3050, 6.0 GiB, 5.0 GiB free, compute capability 8.6, PCIe 4 x8, "
        "driver 580.65.06 for CUDA 12.8"
    )


def test_a_card_without_a_driver_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_nvml(monkeypatch).refused = {"nvmlInit"}
    assert lines(tmp_path)["GPU"] == "none that NVIDIA's driver knows"
    device = "sys/bus/pci/devices/0000:01:00.0"
    for vendor, kind in (("0x10de", "0x040300"), ("0x1002", "0x030000")):
        write_tree(tmp_path, {f"{device}/vendor": vendor, f"{device}/class": f"{kind}\n"})
        assert lines(tmp_path)["GPU"] == "none that NVIDIA's driver knows"
    write_tree(tmp_path, {f"{device}/vendor": "0x10de\n"})
    assert lines(tmp_path)["GPU"].endswith("(Ubuntu: sudo ubuntu-drivers install)")


def test_without_proc_and_drivers_what_is_not_told_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    told = lines(tmp_path)
    assert told["processor"].startswith("name not told (x86_64), ")
    assert told["instructions"].startswith("none that matter here (not told: avx2 fma ")
    assert told["caches"] == "not told"
    assert told["memory"].endswith(" GiB, not told available")
    assert told["energy"] == "not counted: no counter shows here: few virtual machines have one"


def test_a_counter_only_root_may_read_is_told_with_the_command(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", "package-0", 0)
    assert lines(tmp_path)["energy"] == "rapl: processor packages"
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    assert lines(tmp_path)["energy"].endswith(
        "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
    )


def test_speed_is_told_with_what_it_was_measured_beside(tmp_path: Path) -> None:
    assert lines(tmp_path)["speed"] == "reads 20.2 GB/s; 150 GFLOP/s in float32, on 4 threads"
    busy = MachineSpeed(
        read_gb_per_s=20.25,
        float32_gflop_per_s=150.4,
        int8_gop_per_s=400.0,
        threads=1,
        measured_on="2026-11-22",
        is_busy=True,
    )
    told = lines(tmp_path, busy)["speed"]
    assert "400 GOP/s in 8 bits, on 1 thread. Others used the processors meanwhile" in told


def test_the_disk_is_the_caches(tmp_path: Path, cache: Path) -> None:
    assert lines(tmp_path)["disk"].endswith(f" at {cache}")
