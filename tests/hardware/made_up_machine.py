"""Machines that are not here: their files, and a driver of GPUs that answers as one told it to."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """Write files of made-up `proc`, `sys` and `etc` folders."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def rapl(root: Path, zone: str, name: str, energy_uj: int, range_uj: int = 1000) -> None:
    folder = f"sys/class/powercap/{zone}"
    write_tree(
        root,
        {
            f"{folder}/name": f"{name}\n",
            f"{folder}/energy_uj": f"{energy_uj}\n",
            f"{folder}/max_energy_range_uj": f"{range_uj}\n",
        },
    )


def orin_nano(root: Path) -> Path:
    """The files by which an Orin Nano is known, with its sensor at 5 V and 1 A on each rail."""
    sensor = "sys/class/hwmon/hwmon1"
    files = {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.0\n",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\x00",
        "proc/cpuinfo": (
            "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp\nCPU implementer\t: 0x41\n"
            "CPU part\t: 0xd42\n\nprocessor\t: 1\nFeatures\t: fp\n"
        ),
        "proc/meminfo": "MemTotal: 7812500 kB\nMemAvailable: 5859375 kB\nSwapTotal: 0 kB\n",
        "sys/class/hwmon/hwmon0/name": "pwmfan\n",
        f"{sensor}/name": "ina3221\n",
        f"{sensor}/in7_label": "sum of shunt voltages\n",
    }
    for number, label in enumerate(["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"], start=1):
        files |= {
            f"{sensor}/in{number}_label": f"{label}\n",
            f"{sensor}/in{number}_input": "5000\n",
            f"{sensor}/curr{number}_input": "1000\n",
        }
    return write_tree(root, files)


class MadeUpNvml(ModuleType):
    """NVIDIA's library on a machine with one RTX 3050; each answer can be replaced or refused."""

    class NVMLError(Exception):
        """Refuses to answer."""

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.num_open = 0
        self.energy_mj = 5_000
        self.reasons = 0x01
        self.processes = [SimpleNamespace(pid=1, usedGpuMemory=2**30)]
        self.refused: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetCount": lambda: 1,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda _: "NVIDIA GeForce RTX 3050",
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=6 * 2**30, free=5 * 2**30),
            "nvmlSystemGetDriverVersion": lambda: "580.65.06",
            "nvmlSystemGetCudaDriverVersion": lambda: 12080,
            "nvmlDeviceGetCudaComputeCapability": lambda _: (8, 6),
            "nvmlDeviceGetMaxPcieLinkGeneration": lambda _: 4,
            "nvmlDeviceGetMaxPcieLinkWidth": lambda _: 8,
            "nvmlDeviceGetComputeRunningProcesses": lambda _: self.processes,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda _: self.reasons,
            "nvmlDeviceGetTotalEnergyConsumption": lambda _: self.energy_mj,
        }
        if name not in answers:
            raise AttributeError(name)

        def answer(*arguments: object) -> Any:
            assert self.num_open > 0, "asked while closed"
            if name in self.refused:
                raise self.NVMLError(name)
            return answers[name](*arguments)

        return answer

    def nvmlInit(self) -> None:  # noqa: N802 - NVIDIA's name
        if "nvmlInit" in self.refused:
            raise self.NVMLError("Driver Not Loaded")
        self.num_open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - NVIDIA's name
        self.num_open -= 1


def put_nvml(monkeypatch: pytest.MonkeyPatch) -> MadeUpNvml:
    """Have `import pynvml` find the made-up library."""
    nvml = MadeUpNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml
