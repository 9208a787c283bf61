"""GPUs as NVIDIA's driver tells of them, and boards that have one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.hardware.made_up_machine import orin_nano, put_nvml, write_tree

from tinymed.hardware.gpu import board_name, gpu_memory_mib, is_jetson, is_slowed, list_gpus


def test_a_gpu_is_told_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = put_nvml(monkeypatch)
    (gpu,) = list_gpus()
    assert (gpu.index, gpu.name) == (0, "NVIDIA GeForce RTX 3050")
    assert (gpu.memory_bytes, gpu.free_bytes) == (6 * 2**30, 5 * 2**30)
    assert (gpu.driver, gpu.cuda, gpu.compute_capability) == ("580.65.06", "12.8", "8.6")
    assert (gpu.pcie_generation, gpu.pcie_lanes) == (4, 8)
    assert nvml.num_open == 0


def test_what_a_gpu_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = put_nvml(monkeypatch)
    nvml.refused = {
        "nvmlDeviceGetMemoryInfo",
        "nvmlSystemGetCudaDriverVersion",
        "nvmlDeviceGetMaxPcieLinkGeneration",
    }
    (gpu,) = list_gpus()
    assert (gpu.memory_bytes, gpu.free_bytes, gpu.cuda, gpu.pcie_generation) == (None,) * 4
    assert gpu.name == "NVIDIA GeForce RTX 3050"


def test_without_a_driver_or_the_library_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    put_nvml(monkeypatch).refused = {"nvmlInit"}
    assert (list_gpus(), gpu_memory_mib(), is_slowed()) == ((), None, None)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert (list_gpus(), gpu_memory_mib(), is_slowed()) == ((), None, None)


def test_a_process_is_found_among_those_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = put_nvml(monkeypatch)
    assert gpu_memory_mib() is None
    assert gpu_memory_mib(1) == 1024
    nvml.processes.append(SimpleNamespace(pid=os.getpid(), usedGpuMemory=3 * 2**20))
    assert gpu_memory_mib() == 3
    nvml.processes[-1].usedGpuMemory = None
    assert gpu_memory_mib() is None


def test_heat_slows_a_gpu_down_and_idling_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = put_nvml(monkeypatch)
    # NVML's bits: idle, at its power limit, hot by software, hot by hardware.
    for reasons, slowed in ((0x01, False), (0x04, False), (0x20, True), (0x41, True)):
        nvml.reasons = reasons
        assert is_slowed() is slowed
    nvml.refused.add("nvmlDeviceGetCurrentClocksEventReasons")
    assert is_slowed() is None


def test_a_jetson_is_known_by_its_release_file_or_its_name(tmp_path: Path) -> None:
    root = orin_nano(tmp_path / "orin")
    assert board_name(root=root) == "NVIDIA Jetson Orin Nano Developer Kit"
    assert is_jetson(root=root)
    assert is_jetson(root=write_tree(tmp_path / "old", {"etc/nv_tegra_release": "# R32\n"}))
    (root / "etc/nv_tegra_release").unlink()
    assert is_jetson(root=root)
    pi = write_tree(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\x00"})
    assert (board_name(root=pi), is_jetson(root=pi)) == ("Raspberry Pi 5 Model B Rev 1.0", False)
    assert board_name(root=tmp_path / "none") is None
