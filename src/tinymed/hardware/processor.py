"""The processor: its cores, and the instructions it knows."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.hardware.control_group import group_limits, threads_of

INSTRUCTIONS = {
    "x86_64": (
        "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni",
        "amx_int8", "amx_bf16",
    ),
    "arm64": ("asimd", "asimddp", "i8mm", "sve"),
}  # fmt: skip
"""Instruction sets that decide how fast engines multiply, by Linux's names."""

_ARCHITECTURES = {"amd64": "x86_64", "aarch64": "arm64"}
"""Other systems' names for the same."""

_ARM = "0x41"
_ARM_CORES = {
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd42": "Cortex-A78AE",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
"""Linux tells ARM's own cores by number only (arch/arm64/include/asm/cputype.h)."""

_MACOS_INSTRUCTIONS = {
    "avx2": "hw.optional.avx2_0",
    "fma": "hw.optional.fma",
    "f16c": "hw.optional.f16c",
    "avx512f": "hw.optional.avx512f",
    "asimd": "hw.optional.AdvSIMD",
    "asimddp": "hw.optional.arm.FEAT_DotProd",
    "i8mm": "hw.optional.arm.FEAT_I8MM",
}

_NUMPY_INSTRUCTIONS = {
    "avx2": "AVX2",
    "fma": "FMA3",
    "f16c": "F16C",
    "avx512f": "AVX512F",
    "avx512_vnni": "AVX512VNNI",
    "avx512_bf16": "AVX512BF16",
    "asimd": "ASIMD",
    "asimddp": "ASIMDDP",
    "sve": "SVE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What this machine computes with; None for whatever the system does not tell."""

    name: str | None
    vendor: str | None
    architecture: str
    """"x86_64", "arm64", or the system's own word."""
    cores: int
    """That this process may run on; the two threads of a core count as one."""
    threads: int
    """That this process may run at once: its affinity, and its control group's quota."""
    quota: float | None
    """Processors' time a second that the control group allows; None where not limited."""
    instructions: Mapping[str, bool | None]
    """By the names in INSTRUCTIONS of this architecture."""
    level2_bytes: int | None
    """Cache of one core."""
    level3_bytes: int | None
    """Cache that cores share; a virtual machine may tell its host's."""

    @property
    def known_instructions(self) -> tuple[str, ...]:
        """Names of the instruction sets that are there."""
        return tuple(name for name, is_there in self.instructions.items() if is_there)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What one system says, before it is put together."""

    name: str | None = None
    vendor: str | None = None
    found: Mapping[str, bool | None]
    level2_bytes: int | None = None
    level3_bytes: int | None = None


def read_processor(*, root: Path = Path("/")) -> Processor:
    """Describe the processor as Linux, macOS or Windows tells of it.

    Args:
        root: Folder that holds `proc` and `sys`; another in tests.
    """
    architecture = platform.machine().lower()
    architecture = _ARCHITECTURES.get(architecture, architecture)
    system = platform.system()
    if system == "Linux":
        told = _from_linux(root)
    elif system == "Darwin":
        told = _from_macos(_run_sysctl())
    else:
        told = _Told(name=_windows_name() or platform.processor() or None, found=_from_numpy())
    quota = group_limits(root=root).processors
    return Processor(
        name=told.name,
        vendor=told.vendor,
        architecture=architecture,
        cores=physical_cores(root=root),
        threads=threads_of(quota, _num_allowed()),
        quota=quota,
        instructions={name: told.found.get(name) for name in INSTRUCTIONS.get(architecture, ())},
        level2_bytes=told.level2_bytes,
        level3_bytes=told.level3_bytes,
    )


def physical_cores(*, root: Path = Path("/")) -> int:
    """Cores that this process may run on; the two threads of a core count as one.

    Where the system does not tell cores from threads, every thread counts.
    """
    processors = root / "sys/devices/system/cpu"
    try:
        allowed = os.sched_getaffinity(0)
        cores = {
            (processors / f"cpu{number}/topology/thread_siblings_list").read_text("ascii")
            for number in allowed
        }
    except (OSError, AttributeError):  # not Linux, or a sandbox
        return os.cpu_count() or 1
    return len(cores)


def _num_allowed() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _from_linux(root: Path) -> _Told:
    lines = _read(root / "proc/cpuinfo").splitlines()
    # The first processor's block; on boards with two kinds of cores that is the smaller kind.
    first = {}
    for line in lines[: lines.index("")] if "" in lines else lines:
        name, _, value = line.partition(":")
        first[name.strip()] = value.strip()
    flags = first.get("flags") or first.get("Features")
    known = set(flags.split()) if flags else None
    caches = _linux_caches(root)
    maker = first.get("CPU implementer")
    arm_name = _ARM_CORES.get(first.get("CPU part", "")) if maker == _ARM else None
    return _Told(
        name=first.get("model name") or arm_name,
        vendor=first.get("vendor_id") or ("ARM" if maker == _ARM else None),
        found={} if known is None else _presence(known),
        level2_bytes=caches.get(2),
        level3_bytes=caches.get(3),
    )


def _presence(known: set[str]) -> dict[str, bool | None]:
    return {name: name in known for names in INSTRUCTIONS.values() for name in names}


def _linux_caches(root: Path) -> dict[int, int]:
    """Bytes of the first processor's caches for data, by level."""
    sizes = {}
    for folder in (root / "sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, size = _read(folder / "level").strip(), _read(folder / "size").strip()
        if _read(folder / "type").strip() != "Instruction" and size.endswith("K"):
            sizes[int(level)] = int(size[:-1]) * 1024
    return sizes


def _run_sysctl() -> str:
    command = ["/usr/sbin/sysctl", "hw", "machdep.cpu"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def _from_macos(text: str) -> _Told:
    lines = (line.partition(":") for line in text.splitlines())
    told = {name.strip(): value.strip() for name, _, value in lines}

    def size(*names: str) -> int | None:
        return next((int(told[name]) for name in names if told.get(name, "0") != "0"), None)

    return _Told(
        name=told.get("machdep.cpu.brand_string"),
        vendor=told.get("machdep.cpu.vendor"),
        found={
            ours: told[theirs] == "1"
            for ours, theirs in _MACOS_INSTRUCTIONS.items()
            if theirs in told
        },
        level2_bytes=size("hw.perflevel0.l2cachesize", "hw.l2cachesize"),
        level3_bytes=size("hw.l3cachesize"),
    )


def _windows_name() -> str | None:
    path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
    try:
        registry: Any = importlib.import_module("winreg")
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, path) as key:
            return str(registry.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    except (ModuleNotFoundError, OSError):
        return None


def _from_numpy() -> dict[str, bool | None]:
    """What NumPy found out to choose its own loops by: private, but nothing else tells."""
    try:
        loops: Any = importlib.import_module("numpy._core._multiarray_umath")
        features = loops.__cpu_features__
    except (ModuleNotFoundError, AttributeError):
        return {}
    return {
        ours: bool(features[theirs])
        for ours, theirs in _NUMPY_INSTRUCTIONS.items()
        if theirs in features
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
