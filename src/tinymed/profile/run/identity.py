"""What a profile was measured on: the machine, the image, the versions."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from tinymed.hardware.gpu import board_name, list_gpus
from tinymed.hardware.memory import machine_memory
from tinymed.hardware.processor import read_processor
from tinymed.images.intake import read_image
from tinymed.runs import environment

_PACKAGES = ("openvino", "xllamacpp", "torch", "transformers", "bitsandbytes", "numpy")


def describe_machine() -> dict[str, Any]:
    """This machine's facts that do not change from start to start."""
    processor, memory = read_processor(), machine_memory().usable_bytes
    return {
        "processor": processor.name or processor.architecture,
        "instructions": list(processor.known_instructions),
        "cores": processor.cores,
        "threads": processor.threads,
        # Kernels keep a little more or less for themselves, so no finer than GiB.
        "memory_gib": None if memory is None else round(memory / 2**30),
        "board": board_name(),
        "gpus": [gpu.name for gpu in list_gpus()],
        "system": f"{platform.system()} {platform.release()}",
    }


def describe_image(path: Path) -> str:
    """An image's name, kind and size: "chest.png (png, 1600 x 1250 px, 0.4 MB)".

    Raises:
        ImageError: If it cannot be shown.
    """
    image = read_image(path)
    height, width, _ = image.pixels.shape
    megabytes = path.stat().st_size / 1e6
    return f"{path.name} ({image.source}, {width} x {height} px, {megabytes:.1f} MB)"


def versions() -> dict[str, str]:
    """Versions of Python, tinymed and the packages that engines compute with."""
    return environment(*_PACKAGES)
