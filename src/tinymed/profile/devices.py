"""Devices that models are planned for, and what their makers say of them.

GB/s are 10**9 bytes a second, rates 10**9 operations a second (a multiplication and an addition
are two) without sparsity. A figure without a source is None, and what depends on it is not planned.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from tinymed.errors import ConfigError
from tinymed.hardware.memory import machine_memory
from tinymed.hardware.processor import read_processor
from tinymed.hardware.speed import MachineSpeed

THIS_MACHINE = "this-machine"
_NO_ARM_CODE = "The native engine has no code of its own for ARM: its speed there is not planned."
_GIB = 2**30
_UNKNOWN_MEMORY_BYTES = 8 * _GIB


DeviceKind = Literal["gpu", "unified", "cpu"]
""""gpu": memory of its own; "unified": a GPU that shares the system's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a model could run on."""

    name: str
    title: str
    kind: DeviceKind
    memory_bytes: int
    usable_bytes: int
    """That one program may take, once system, desktop and the like have theirs; a GPU's context
    counts as the program's."""
    read_gb_per_s: float | None
    """Of memory."""
    float32_gop_per_s: float | None
    float16_gop_per_s: float | None
    """Of a GPU's tensor cores, sums in 32 bits; of bfloat16 on a processor. None: as float32."""
    int8_gop_per_s: float | None
    """Of the native engine's kernel on a processor; of a GPU's tensor cores."""
    is_measured: bool = False
    """Its speed was measured on it, by tinymed; else it is the maker's."""
    sources: str = ""
    """Where each figure is from."""
    remarks: tuple[str, ...] = ()

    @property
    def has_gpu(self) -> bool:
        """Whether the model would run on a GPU."""
        return self.kind != "cpu"


_GEFORCE = (
    "Tensor cores of GeForce Ampere do twice the plain rate with sums in 32 bits and 8 times in 8 "
    "bits (hmc-tech.com's tables of these cards). 0.5 GiB is left for a desktop on the same card: "
    "our allowance."
)


def _geforce(name: str, title: str, gib: int, read: float, float32: float, sources: str) -> Device:
    return Device(
        name=name,
        title=title,
        kind="gpu",
        memory_bytes=gib * _GIB,
        usable_bytes=gib * _GIB - _GIB // 2,
        read_gb_per_s=read,
        float32_gop_per_s=float32,
        float16_gop_per_s=2 * float32,
        int8_gop_per_s=8 * float32,
        sources=f"{sources} {_GEFORCE}",
    )


def _orin(
    name: str, title: str, gib: float, usable_gib: float, rates: tuple[float, ...], sources: str
) -> Device:
    read, float32, int8 = rates
    return Device(
        name=name,
        title=title,
        kind="unified",
        memory_bytes=int(gib * _GIB),
        usable_bytes=int(usable_gib * _GIB),
        read_gb_per_s=read,
        float32_gop_per_s=float32,
        float16_gop_per_s=int8 / 2,
        int8_gop_per_s=int8,
        sources=f"{sources} Tensor cores do in 16 bits half of what they do in 8.",
    )


_NANO_MEMORY = "5.2 GiB are usable after the system (ericxliu.me, 2026)."

_ALL = (
    _geforce(
        "rtx-3050-4gb", "GeForce RTX 3050 Laptop, 4 GB", 4, 192.0, 5_800.0,
        "192 GB/s: 128 bits at 12 Gbit/s. 5.8 TFLOPS: 2,048 cores at 1,417 MHz, the 50 W variant "
        "(hmc-tech.com); the 80 W one does 7.1.",
    ),
    _geforce(
        "rtx-3050-6gb", "GeForce RTX 3050, 6 GB", 6, 168.0, 6_770.0,
        "168 GB/s: 96 bits at 14 Gbit/s (thinkcomputers.org). 6.77 TFLOPS: 2,304 cores at 1,470 "
        "MHz (hwsetup.it).",
    ),
    _geforce(
        "rtx-3060", "GeForce RTX 3060, 12 GB", 12, 360.0, 12_740.0,
        "360 GB/s: 192 bits at 15 Gbit/s. 12.74 TFLOPS: 3,584 cores at 1,777 MHz (sysrqmts.com).",
    ),
    _orin(
        "orin-nano-8gb", "Jetson Orin Nano, 8 GB, 15 W", 8, 5.2, (68.0, 1_280.0, 20_000.0),
        "68 GB/s; 1,024 cores at 625 MHz, 2 operations each; 20 TOPS in 8 bits, 40 with sparsity "
        f"(NVIDIA's data sheet). {_NANO_MEMORY}",
    ),
    _orin(
        "orin-nano-super-8gb", "Jetson Orin Nano Super, 8 GB, 25 W", 8, 5.2,
        (102.0, 2_090.0, 33_500.0),
        "102 GB/s; 1,024 cores at 1,020 MHz, 2 operations each; 33.5 TOPS in 8 bits, 67 with "
        f"sparsity (NVIDIA's data sheet of the Super developer kit). {_NANO_MEMORY}",
    ),
    _orin(
        "agx-orin-64gb", "Jetson AGX Orin, 64 GB, 60 W", 64, 58, (204.8, 5_300.0, 85_000.0),
        "204.8 GB/s: 256 bits of LPDDR5-6400. 5.3 TFLOPS; the GPU alone 85 TOPS in 8 bits, 170 "
        "with sparsity (NVIDIA's technical brief of the series). 6 GiB are left for the system: "
        "our allowance.",
    ),
    Device(
        name="raspberry-pi-5",
        title="Raspberry Pi 5, 8 GB",
        kind="cpu",
        memory_bytes=8 * _GIB,
        usable_bytes=7 * _GIB,
        read_gb_per_s=11.4,
        float32_gop_per_s=76.8,
        float16_gop_per_s=None,
        int8_gop_per_s=None,
        sources="11.4 GB/s that programs reach of LPDDR4X-4267's 17 (hellomatik.com, 2026). 4 "
        "Cortex-A76 at 2.4 GHz with two 128-bit units each do 153.6 GFLOPS: half of it taken as "
        "reached, our assumption. 1 GiB is left for the system: our allowance.",
        remarks=(_NO_ARM_CODE,),
    ),
    Device(
        name="laptop-4-core",
        title="4-core laptop, 16 GB DDR4, AVX2 without AVX-512",
        kind="cpu",
        memory_bytes=16 * _GIB,
        usable_bytes=12 * _GIB,
        read_gb_per_s=28.0,
        float32_gop_per_s=300.0,
        float16_gop_per_s=None,
        int8_gop_per_s=770.0,
        sources="28 GB/s that programs reach of two channels of DDR4-2666 (llama.cpp's figures of "
        "MobileVLM on an i7-10750H). 4 cores at 3 GHz with two 256-bit units each do 384 GFLOPS: "
        "0.78 of it taken as reached, our assumption. The kernel's AVX2 code does 385 GOP/s on two "
        "cores (decision 0009), so twice that. 4 GiB are left for system and browser: our "
        "allowance.",
    ),
)  # fmt: skip

DEVICES = {device.name: device for device in _ALL}


def find_device(name: str) -> Device:
    """Look a device up by its exact name.

    Raises:
        ConfigError: If there is none of that name.

    Example:
        >>> find_device("rtx-3060").read_gb_per_s
        360.0
        >>> find_device("rtx-3060ti")
        Traceback (most recent call last):
        tinymed.errors.ConfigError: No device 'rtx-3060ti'. Did you mean 'rtx-3060'? Known: \
rtx-3050-4gb, rtx-3050-6gb, rtx-3060, orin-nano-8gb, orin-nano-super-8gb, agx-orin-64gb, \
raspberry-pi-5, laptop-4-core, this-machine.
    """
    if name not in DEVICES:
        known = (*DEVICES, THIS_MACHINE)
        begin_so = [other for other in known if other.startswith(name)]
        near = begin_so or difflib.get_close_matches(name, known, n=1)
        meant = " or ".join(f"'{other}'" for other in near)
        hint = f" Did you mean {meant}?" if near else ""
        raise ConfigError(f"No device '{name}'.{hint} Known: {', '.join(known)}.")
    return DEVICES[name]


def this_machine(speed: MachineSpeed | None) -> Device:
    """This machine's processor and memory.

    Args:
        speed: What was measured of it; None leaves its speed untold.
    """
    memory = machine_memory()
    total = memory.total_bytes or _UNKNOWN_MEMORY_BYTES
    usable = memory.usable_bytes or _UNKNOWN_MEMORY_BYTES
    remarks = (
        () if memory.usable_bytes else ("The system does not tell its memory: 8 GiB assumed.",)
    )
    return Device(
        name=THIS_MACHINE,
        title="this machine",
        kind="cpu",
        memory_bytes=total,
        usable_bytes=usable,
        read_gb_per_s=speed.read_gb_per_s if speed else None,
        float32_gop_per_s=speed.float32_gflop_per_s if speed else None,
        float16_gop_per_s=_sixteen_bit_rate(speed) if speed else None,
        int8_gop_per_s=speed.int8_gop_per_s if speed else None,
        is_measured=speed is not None,
        sources=f"Measured on {speed.measured_on}, {speed.threads} threads." if speed else "",
        remarks=remarks,
    )


def _sixteen_bit_rate(speed: MachineSpeed) -> float:
    """What bfloat16 reaches: AMX four times float32's rate, AVX-512 twice, others no more."""
    known = read_processor().known_instructions
    times = 4 if "amx_bf16" in known else 2 if "avx512_bf16" in known else 1
    return times * speed.float32_gflop_per_s
