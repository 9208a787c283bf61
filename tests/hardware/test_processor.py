"""What each system tells of its processor, put into the same words."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.hardware.made_up_machine import orin_nano, write_tree

from tinymed.hardware import processor
from tinymed.hardware.processor import INSTRUCTIONS, physical_cores, read_processor

NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /sys")

INTEL = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM) i5\n"
    "flags\t\t: fpu avx2 fma f16c avx_vnni\n\nprocessor\t: 1\nflags\t\t: none\n"
)

APPLE = """machdep.cpu.brand_string: Apple M2
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 0
hw.l2cachesize: 4194304
hw.perflevel0.l2cachesize: 16777216
hw.l3cachesize: 0
"""


def machine(monkeypatch: pytest.MonkeyPatch, *, system: str, architecture: str) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: architecture)


@NEEDS_LINUX
def test_two_threads_of_a_core_are_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        topology = f"sys/devices/system/cpu/cpu{number}/topology"
        write_tree(tmp_path, {f"{topology}/thread_siblings_list": f"{siblings}\n"})
    for allowed, cores in (({0, 1, 2, 3}, 2), ({0, 2}, 1), ({3}, 1)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _process, found=allowed: found)
        assert physical_cores(root=tmp_path) == cores


def test_where_cores_are_not_told_every_thread_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert physical_cores(root=tmp_path) == 7


@NEEDS_LINUX
def test_linux_tells_names_instructions_and_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, system="Linux", architecture="x86_64")
    files = {"proc/cpuinfo": INTEL}
    caches = [("1", "Instruction", "32K"), ("2", "Unified", "2048K"), ("3", "Unified", "12288K")]
    for number, (level, kind, size) in enumerate(caches):
        folder = f"sys/devices/system/cpu/cpu0/cache/index{number}"
        files |= {f"{folder}/level": level, f"{folder}/type": kind, f"{folder}/size": size}
    found = read_processor(root=write_tree(tmp_path, files))
    assert (found.name, found.vendor) == ("Intel(R) Core(TM) i5", "GenuineIntel")
    assert found.known_instructions == ("avx2", "fma", "f16c", "avx_vnni")
    assert found.instructions["avx512f"] is False
    assert set(found.instructions) == set(INSTRUCTIONS["x86_64"])
    assert (found.level2_bytes, found.level3_bytes) == (2 * 2**20, 12 * 2**20)


@NEEDS_LINUX
def test_arms_cores_are_known_by_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, system="Linux", architecture="aarch64")
    found = read_processor(root=orin_nano(tmp_path))
    assert (found.name, found.vendor, found.architecture) == ("Cortex-A78AE", "ARM", "arm64")
    assert found.known_instructions == ("asimd", "asimddp")


@NEEDS_LINUX
def test_without_proc_and_sys_nothing_is_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, system="Linux", architecture="x86_64")
    found = read_processor(root=tmp_path)
    assert (found.name, found.vendor, found.level2_bytes) == (None, None, None)
    assert set(found.instructions.values()) == {None}


@NEEDS_LINUX
def test_a_quota_bounds_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))
    files = {"proc/self/cgroup": "0::/box\n", "sys/fs/cgroup/box/cpu.max": "150000 100000\n"}
    found = read_processor(root=write_tree(tmp_path, files))
    assert (found.quota, found.threads) == (1.5, 2)


def test_macos_is_asked_by_sysctl(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, system="Darwin", architecture="arm64")
    monkeypatch.setattr(processor, "_run_sysctl", lambda: APPLE)
    found = read_processor()
    assert (found.name, found.vendor) == ("Apple M2", None)
    assert found.instructions == {"asimd": True, "asimddp": True, "i8mm": False, "sve": None}
    assert (found.level2_bytes, found.level3_bytes) == (16 * 2**20, None)


def test_windows_instructions_are_those_that_numpy_found(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, system="Windows", architecture="AMD64")
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6")
    features = {"AVX2": True, "AVX512F": False, "SSE": True}
    monkeypatch.setattr(np._core._multiarray_umath, "__cpu_features__", features)
    found = read_processor()
    assert (found.name, found.architecture) == ("Intel64 Family 6", "x86_64")
    assert found.instructions["avx2"] is True
    assert found.instructions["avx512f"] is False
    assert found.instructions["amx_int8"] is None
